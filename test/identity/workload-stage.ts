import assert from 'node:assert/strict';
import { get } from 'node:http';
import type { TestContext } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { type Sallyport, type Sections, startSallyport } from '../support/sallyport.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { startWorkloadApi, type WorkloadApiServer } from '../support/workload-api.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

/** The real process beside a Workload API. */
export interface Stage {
	readonly workspace: Workspace;
	readonly api: WorkloadApiServer;
	readonly sallyport: Sallyport;
	readonly upstream: Upstream;
	/** A call through the proxy; 0 when no handshake was possible. */
	call(agent?: { readonly certificate: string; readonly key: string }): Promise<number>;
	/** What /readyz says of the identity; empty when it is ready. */
	missing(): Promise<string>;
}

export async function stage(
	t: TestContext,
	prepare: (api: WorkloadApiServer, workspace: Workspace) => void,
	more: { readonly identity?: object; readonly sections?: Sections } = {},
): Promise<Stage> {
	const workspace = makeWorkspace(t);
	const api = await startWorkloadApi(t, workspace.path('api.sock'));
	prepare(api, workspace);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		env: { SPIFFE_ENDPOINT_SOCKET: api.socket },
		config: {
			identity: { trust_domain: 'example.org', svid: { workload_api: {} }, ...more.identity },
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			...more.sections,
		},
	});
	const url = `http://crm.internal:${upstream.port}/`;
	return {
		workspace,
		api,
		sallyport,
		upstream,
		call: async (agent = workspace.agent('a')) =>
			(await curl([...throughProxy(workspace, sallyport.address('egress'), agent), url])).status,
		missing: async () => {
			const { ready, parts = [] } = await readiness(sallyport);
			const found = parts.find(({ part }) => part === 'identity')?.reason;
			assert.equal(ready, parts.length === 0);
			return found ?? '';
		},
	};
}

interface Readiness {
	readonly ready: boolean;
	readonly parts?: readonly { readonly part: string; readonly reason: string }[];
}

const readiness = (sallyport: Sallyport): Promise<Readiness> =>
	new Promise((resolve, reject) => {
		get(`http://${sallyport.health()}/readyz`, { agent: false }, response => {
			let text = '';
			response.setEncoding('utf8').on('data', (chunk: string) => {
				text += chunk;
			});
			response.on('end', () => resolve(JSON.parse(text) as Readiness)).on('error', reject);
		}).on('error', reject);
	});
