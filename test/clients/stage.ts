import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { SALLYPORT, type Sallyport, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { makeWorkspace, type Pair, type Workspace } from '../support/workspace.ts';
import type { Way } from './matrix.ts';

export const AGENT = 'spiffe://example.org/agents/worker';

/** A running Sallyport with every way in, an HTTP upstream, and one behind TLS to which tunnels are allowed. */
export interface ClientStage {
	readonly workspace: Workspace;
	readonly sallyport: Sallyport;
	readonly crm: Upstream;
	readonly api: Upstream;
	/** What the program of a client finds in its environment. */
	environment(way: Way): NodeJS.ProcessEnv;
	readonly config: string;
	readonly svid: Pair;
}

/** Free a moment ago. `exec` needs to know ports beforehand. */
export async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise(resolve => server.close(resolve));
	return port;
}

export async function openStage(t: TestContext): Promise<ClientStage> {
	const workspace = makeWorkspace(t);
	const svid = workspace.agent('worker');
	const hello = (_request: unknown, response: { end(text: string): void }): void => response.end('hello');
	const crm = await startUpstream(t, { answer: hello });
	const certificate = workspace.issue('api', 'spiffe://example.org/upstreams/api', {
		names: [{ kind: 'dns', value: 'api.example' }],
	});
	const api = await startUpstream(t, { answer: hello, certificate });
	const byToken = () => ({ token: { directory: workspace.path('tokens'), agents: [AGENT] } });
	const ports = {
		mtls: await freePort(),
		token: await freePort(),
		doorMtls: await freePort(),
		doorToken: await freePort(),
	};
	const sockets = { proxy: workspace.path('proxy.sock'), door: workspace.path('door.sock') };
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{ name: 'mtls', address: `127.0.0.1:${ports.mtls}`, serves: 'http_proxy' },
				{ name: 'token', address: `127.0.0.1:${ports.token}`, serves: 'http_proxy', authenticate: byToken() },
				{ name: 'socket', address: `unix:${sockets.proxy}`, serves: 'http_proxy', authenticate: { as: AGENT } },
				{ name: 'door_mtls', address: `127.0.0.1:${ports.doorMtls}`, upstream: 'crm' },
				{ name: 'door_token', address: `127.0.0.1:${ports.doorToken}`, upstream: 'crm', authenticate: byToken() },
				{ name: 'door_socket', address: `unix:${sockets.door}`, upstream: 'crm', authenticate: { as: AGENT } },
			],
			upstreams: {
				crm: { address: crm.address, hosts: ['crm.example'], protocol: 'http' },
				api: {
					address: api.address,
					hosts: ['api.example'],
					protocol: 'http',
					tls: { trust_bundle: workspace.ca },
					tunnel: 'allow',
				},
			},
		},
	});
	const secret = readFileSync(workspace.path('tokens', 'worker', 'token'), 'utf8');
	const environment = (way: Way): NodeJS.ProcessEnv => ({
		PATH: process.env['PATH'],
		HOME: process.env['HOME'],
		GOCACHE: process.env['GOCACHE'],
		CA: workspace.ca,
		CERT: svid.certificate,
		KEY: svid.key,
		// Only the names of upstreams: nothing resolves them but Sallyport.
		TARGET: way.endsWith('connect') ? `https://api.example:${api.port}/hello` : `http://crm.example:${crm.port}/hello`,
		PROXY_MTLS: `https://localhost:${ports.mtls}`,
		PROXY_TOKEN: `http://worker:${secret}@127.0.0.1:${ports.token}`,
		PROXY_SOCKET: sockets.proxy,
		DOOR_MTLS: `https://localhost:${ports.doorMtls}/hello`,
		DOOR_TOKEN: `http://worker:${secret}@127.0.0.1:${ports.doorToken}/hello`,
		DOOR_SOCKET: sockets.door,
		NODE_NO_WARNINGS: '1',
		// Stands for the system's roots, which would know a public upstream.
		...(way.startsWith('exec')
			? { SSL_CERT_FILE: workspace.ca, REQUESTS_CA_BUNDLE: workspace.ca, NODE_EXTRA_CA_CERTS: workspace.ca }
			: {}),
	});
	return { workspace, sallyport, crm, api, environment, svid, config: workspace.path('sallyport.yaml') };
}

/** What a client's program printed. */
export interface Said {
	readonly status?: number;
	readonly body?: string;
	readonly error?: string;
}

/** Runs the program of a client; for `exec`, under `sallyport exec`. */
export async function runClient(
	stage: ClientStage,
	way: Way,
	command: readonly string[],
	more: NodeJS.ProcessEnv = {},
): Promise<Said> {
	const [program = '', ...words] = way.startsWith('exec')
		? [SALLYPORT, 'exec', '--agent', 'worker', '--config', stage.config, '--quiet', '--', ...command]
		: command;
	const child = spawn(program, words, {
		env: { ...stage.environment(way), ...more },
		stdio: ['ignore', 'pipe', 'pipe'],
		timeout: 30_000,
		killSignal: 'SIGKILL',
	});
	let stdout = '';
	let stderr = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		stdout += text;
	});
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
	try {
		// A program may print the body before it.
		const at = Math.max(0, stdout.lastIndexOf('{'));
		return { ...(at === 0 ? {} : { body: stdout.slice(0, at) }), ...(JSON.parse(stdout.slice(at)) as Said) };
	} catch {
		return { error: `${stdout}${stderr}`.trim() };
	}
}

/** The listener that a way leads to. */
const listenerOf = (way: Way): string =>
	way.startsWith('exec') ? 'token' : way.startsWith('door') ? way : (way.split('_')[0] ?? '');

/** What Sallyport wrote down of the call that came by this way: who, how known, and for a request its form. */
export const recordOf = (stage: ClientStage, way: Way, from: number): Promise<Readonly<Record<string, unknown>>> =>
	until(() => {
		const record = stage.sallyport
			.records()
			.find(({ type, seq, call }) => type === 'decision' && seq > from && call?.['listener'] === listenerOf(way));
		return record === undefined
			? undefined
			: { verdict: record['verdict'], cause: record.cause, phase: record['path'], ...record.call };
	}, `a record of the call by ${way}`);
