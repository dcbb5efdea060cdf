import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Curl, type CurlOptions, curl, throughProxy } from '../support/curl.ts';
import type { AuditRecord } from '../support/records.ts';
import { type Policy, type Sallyport, type Sections, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/upstream.ts';
import { openWire, type Wire } from '../support/wire.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { residentOf } from './support-memory.ts';

type Ground = Pick<TestContext, 'after'>;

/** A Sallyport whose upstream `tool` is a real HTTP server, and what scenarios ask again and again. */
export interface Stage {
	readonly workspace: Workspace;
	readonly sallyport: Sallyport;
	readonly tool: Upstream;
	/** `tool.test:PORT`, as calls name the upstream. */
	readonly host: string;
	/** `http://tool.test:PORT`. */
	readonly origin: string;
	/** curl through the proxy listener as an agent. */
	curl(args: readonly string[], options?: CurlOptions & { readonly agent?: string }): Promise<Curl>;
	/** A mutual TLS connection to a listener, `egress` unless named. */
	wire(options?: { readonly agent?: string; readonly listener?: string }): Promise<Wire>;
	/** A request in absolute form to the upstream; `head` is what follows its Host line. */
	request(method: string, path: string, head?: string, body?: string): string;
	/** A good call goes through, to the upstream and back. */
	good(after: string): Promise<void>;
	/** Calls come to an end: none stays open. */
	quiet(): Promise<void>;
	/** Decisions so far. */
	decisions(): readonly AuditRecord[];
	/** Waits for the outcome of the nth permitted call, from 1. */
	outcome(n?: number): Promise<AuditRecord>;
	/** Resident memory of the process, bytes. */
	resident(): number;
}

export interface StageOptions {
	readonly policy?: Policy;
	readonly limits?: Readonly<Record<string, unknown>>;
	/** More upstreams beside `tool`. */
	readonly upstreams?: Readonly<Record<string, unknown>>;
	/** More keys of `tool`. */
	readonly tool?: UpstreamOptions;
	readonly listeners?: readonly unknown[];
	readonly config?: Sections;
	readonly workspace?: Workspace;
}

export const EGRESS = { name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' };

export async function openStage(t: Ground, options: StageOptions = {}): Promise<Stage> {
	const workspace = options.workspace ?? makeWorkspace(t);
	const tool = await startUpstream(t, options.tool);
	const sallyport = await startSallyport(t, workspace, {
		// A copy: what stands in two places would be an alias in YAML.
		config: copy({
			upstreams: { tool: { address: tool.address, hosts: ['tool.test'], protocol: 'http' }, ...options.upstreams },
			...(options.limits === undefined ? {} : { limits: options.limits }),
			listeners: options.listeners ?? [EGRESS],
			...options.config,
		}),
		...(options.policy === undefined ? {} : { policy: options.policy }),
	});
	const host = `tool.test:${tool.port}`;
	const origin = `http://${host}`;
	const through = (agent: string): string[] =>
		throughProxy(workspace, sallyport.address('egress'), workspace.agent(agent));
	const outcomes = (): AuditRecord[] => sallyport.records().filter(({ type }) => type === 'outcome');
	const stage: Stage = {
		workspace,
		sallyport,
		tool,
		host,
		origin,
		curl: (args, { agent = 'a', ...more } = {}) => curl([...through(agent), ...args], more),
		wire: ({ agent = 'a', listener = 'egress' } = {}) =>
			openWire(t, sallyport.address(listener), { agent: workspace.agent(agent) }),
		request: (method, path, head = '', body = '') =>
			`${method} ${origin}${path} HTTP/1.1\r\nHost: ${host}\r\n${head === '' ? '' : `${head}\r\n`}\r\n${body}`,
		async good(after) {
			const call = await stage.curl([`${origin}/good`]);
			assert.equal(call.status, 200, `a good call after ${after}: ${call.error} ${call.body}\n${sallyport.stderr()}`);
		},
		quiet: async () => {
			await until(async () => /^sallyport_calls_open 0$/m.test(await sallyport.metrics()), 'no call is open');
		},
		decisions: () => sallyport.records().filter(({ type }) => type === 'decision'),
		outcome: (n = 1) => until(() => outcomes()[n - 1], `outcome ${n}`),
		resident: () => residentOf(sallyport.pid),
	};
	return stage;
}

const copy = (sections: Sections): Sections => JSON.parse(JSON.stringify(sections)) as Sections;

/** A proxy and a door to `tool` where the agent `a` is known by its token. */
export const TOKEN_LISTENERS = (() => {
	const authenticate = { token: { directory: 'tokens', agents: ['spiffe://example.org/agents/a'] } };
	return [
		{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', authenticate },
		{ name: 'door', address: '127.0.0.1:0', upstream: 'tool', authenticate },
	];
})();
