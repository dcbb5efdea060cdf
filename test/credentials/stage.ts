import type { TestContext } from 'node:test';
import { type Curl, curl, throughProxy } from '../support/curl.ts';
import { type Policy, type Sallyport, type Sections, startSallyport } from '../support/sallyport.ts';
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/upstream.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

/** The real process before an upstream `crm` that it holds credentials for. */
export interface Stage {
	readonly workspace: Workspace;
	readonly sallyport: Sallyport;
	readonly crm: Upstream;
	/** `http://crm.internal:PORT`. */
	readonly origin: string;
	/** A call through the proxy, as the agent `a` unless named. */
	call(args?: readonly string[], agent?: string): Promise<Curl>;
}

export interface StageOptions {
	readonly workspace?: Workspace;
	readonly upstream?: UpstreamOptions;
	/** More keys of `crm`. */
	readonly crm?: Readonly<Record<string, unknown>>;
	readonly config?: Sections;
	readonly policy?: Policy;
	readonly env?: Readonly<Record<string, string>>;
}

export const EVERY = ['spiffe://example.org/agents/*'];

/** `credentials`: of `crm`; what is only one entry is for every agent. */
export async function openStage(
	t: TestContext,
	credentials: Readonly<Record<string, unknown>> | readonly unknown[] | undefined,
	options: StageOptions = {},
): Promise<Stage> {
	const workspace = options.workspace ?? makeWorkspace(t);
	const crm = await startUpstream(t, options.upstream);
	const list =
		credentials === undefined || Array.isArray(credentials) ? credentials : [{ agents: EVERY, ...credentials }];
	const sallyport = await startSallyport(t, workspace, {
		...(options.env === undefined ? {} : { env: options.env }),
		...(options.policy === undefined ? {} : { policy: options.policy }),
		config: {
			upstreams: {
				crm: {
					address: crm.address,
					hosts: ['crm.internal'],
					protocol: 'http',
					...(list === undefined ? {} : { credentials: list }),
					...options.crm,
				},
			},
			...options.config,
		},
	});
	const origin = `http://crm.internal:${crm.port}`;
	return {
		workspace,
		sallyport,
		crm,
		origin,
		call: (args = [], agent = 'a') =>
			curl([
				...throughProxy(workspace, sallyport.address('egress'), workspace.agent(agent)),
				...args,
				...(args.some(arg => arg.startsWith('http://')) ? [] : [`${origin}/`]),
			]),
	};
}
