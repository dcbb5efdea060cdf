import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Answer, ask } from '../admin/fixture.ts';
import { sallyport as command, type Ran } from '../cli/run.ts';
import { type Sallyport, type SallyportOptions, startSallyport } from '../support/sallyport.ts';
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/upstream.ts';
import { openWire, type Wire } from '../support/wire.ts';
import { makeWorkspace, type Pair, type Workspace } from '../support/workspace.ts';

/** The id of the agent with this name. */
export const idOf = (name: string): string => `spiffe://example.org/agents/${name}`;

export interface Stage {
	readonly workspace: Workspace;
	readonly sallyport: Sallyport;
	readonly upstream: Upstream;
	/** `sallyport revoke …` beside the configuration. */
	revoke(...words: readonly string[]): Promise<Ran>;
	/** The same by the control API, without a process of its own. */
	order(what: string, more?: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
	control(method: string, path: string, body?: unknown): Promise<Answer>;
	/** A connection to the proxy, kept alive. */
	connect(agent: Pair): Promise<Wire>;
	/** The head of a request for a path of the upstream. */
	get(path: string, more?: string): string;
}

export interface StageOptions extends SallyportOptions {
	readonly upstream?: UpstreamOptions;
	readonly workspace?: Workspace;
	/** Sections beside `upstreams`, which may name others. */
	readonly upstreams?: Readonly<Record<string, unknown>>;
}

/** A real Sallyport with a proxy listener, and a real upstream behind it. */
export async function openStage(t: TestContext, options: StageOptions = {}): Promise<Stage> {
	const workspace = options.workspace ?? makeWorkspace(t);
	const upstream = await startUpstream(t, options.upstream);
	const sallyport = await startSallyport(t, workspace, {
		...options,
		config: {
			...options.config,
			upstreams: { tool: { address: upstream.address, protocol: 'http' }, ...options.upstreams },
		},
	});
	return stageOf(t, workspace, sallyport, upstream);
}

export function stageOf(t: TestContext, workspace: Workspace, sallyport: Sallyport, upstream: Upstream): Stage {
	const control: Stage['control'] = (method, path, body) => {
		const text = body === undefined ? undefined : JSON.stringify(body);
		return ask({
			socketPath: workspace.path('control.sock'),
			method,
			path,
			...(text === undefined
				? {}
				: { body: text, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } }),
		});
	};
	return {
		workspace,
		sallyport,
		upstream,
		control,
		revoke: (...words) => command(['revoke', ...words], { cwd: workspace.directory }),
		order: async (what, more = {}) => {
			const answer = await control('POST', '/v1/revocations', { what, reason: 'a test', ...more });
			assert.equal(answer.status, 200, answer.text);
			return answer.json();
		},
		connect: agent => openWire(t, sallyport.address('egress'), { agent }),
		get: (path, more = '') =>
			`GET http://${upstream.address}${path} HTTP/1.1\r\nHost: ${upstream.address}\r\n${more}\r\n`,
	};
}

/** The serial of a certificate as `openssl x509 -serial` prints it. */
export { serialOf } from './certificate.ts';
