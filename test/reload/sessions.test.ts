import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Echo, startEcho } from '../support/echo.ts';
import { type Sallyport, type Sections, startSallyport } from '../support/sallyport.ts';
import { openWire, type Wire } from '../support/wire.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { echoes, openTunnel, reload } from './support.ts';

interface Parts {
	/** Keys of the upstreams that are about to change, and of the listeners. */
	readonly opaque?: unknown;
	readonly web?: unknown;
	readonly door?: unknown;
	readonly egress?: unknown;
}

/** What changes, and why the session that is open by then is ended. */
interface Change {
	readonly what: string;
	readonly open: 'tunnel' | 'web' | 'door';
	readonly to: (echo: Echo) => Parts;
	readonly cause: string;
}

const OTHERS = { agents: ['spiffe://example.org/agents/other'] };

const CHANGES: readonly Change[] = [
	{ what: 'upstream of a tunnel removed', open: 'tunnel', to: () => ({ opaque: null }), cause: 'policy_changed' },
	{
		what: 'upstream of a tunnel with another address',
		open: 'tunnel',
		to: ({ port }) => ({ opaque: { address: `127.0.0.2:${port}` } }),
		cause: 'policy_changed',
	},
	{
		what: 'upstream of a tunnel with another tls',
		open: 'tunnel',
		to: () => ({ opaque: { tls: {} } }),
		cause: 'policy_changed',
	},
	{
		what: 'tunnel: allow taken back',
		open: 'web',
		to: () => ({ web: { tunnel: 'refuse' } }),
		cause: 'policy_changed',
	},
	{ what: 'agents of the proxy', open: 'tunnel', to: () => ({ egress: OTHERS }), cause: 'listener_forbidden' },
	{
		what: 'upstream of a door with another address',
		open: 'door',
		to: ({ port }) => ({ opaque: { address: `localhost:${port}`, hosts: ['opaque.test'] } }),
		cause: 'policy_changed',
	},
	{ what: 'upstream of a door with tls', open: 'door', to: () => ({ opaque: { tls: {} } }), cause: 'policy_changed' },
	{
		what: 'another upstream for the door',
		open: 'door',
		to: () => ({ door: { upstream: 'steady' } }),
		cause: 'policy_changed',
	},
	{ what: 'agents of the door', open: 'door', to: () => ({ door: OTHERS }), cause: 'listener_forbidden' },
];

/** The configuration of every change; null takes the upstream out. */
function configOf(echo: Echo, steady: Echo, { opaque, web, door, egress }: Parts = {}): Sections {
	const upstream = (host: string, protocol: string, more: unknown) => ({
		address: echo.address,
		hosts: [host],
		protocol,
		...(more as object),
	});
	return {
		listeners: [
			{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', ...(egress as object) },
			{ name: 'door', address: '127.0.0.1:0', upstream: opaque === null ? 'steady' : 'opaque', ...(door as object) },
			{ name: 'steady', address: '127.0.0.1:0', upstream: 'steady' },
		],
		upstreams: {
			...(opaque === null ? {} : { opaque: upstream('opaque.test', 'tcp', opaque) }),
			web: upstream('web.test', 'http', { tunnel: 'allow', ...(web as object) }),
			steady: { address: steady.address, hosts: ['steady.test'], protocol: 'tcp' },
		},
	};
}

test('a reload ends the sessions and tunnels that it would not have opened, and no others', async t => {
	const workspace = makeWorkspace(t);
	const echo = await startEcho(t);
	const steady = await startEcho(t);
	const sallyport = await startSallyport(t, workspace, { config: configOf(echo, steady) });
	const agent = workspace.agent('a');
	const door = async (listener: string): Promise<Wire> => {
		const wire = await openWire(t, sallyport.address(listener), { agent });
		await echoes(wire, 'begun');
		return wire;
	};
	const tunnel = (host: string, port: number): Promise<Wire> =>
		openTunnel(t, sallyport.address('egress'), `${host}:${port}`, { agent });
	const undisturbed = [await door('steady'), await openTunnelOfB(t, sallyport, workspace, steady)];

	for (const [turn, { what, open, to, cause }] of CHANGES.entries()) {
		assert.equal((await reload(workspace, configOf(echo, steady))).taken, true);
		const wire =
			open === 'door' ? await door('door') : await tunnel(open === 'web' ? 'web.test' : 'opaque.test', echo.port);
		const seen = sallyport.records().length;
		assert.equal((await reload(workspace, configOf(echo, steady, to(echo)))).taken, true, what);
		await wire.closed();
		const outcome = await sallyport.waitForRecord(({ type, seq }) => type === 'outcome' && seq > seen, what);
		assert.equal(outcome.cause, cause, what);
		for (const other of undisturbed) await echoes(other, `turn ${turn}: ${what}`);
	}
});

/** By an agent that no change is about. */
const openTunnelOfB = (
	t: Parameters<typeof openTunnel>[0],
	sallyport: Sallyport,
	workspace: Workspace,
	steady: Echo,
): Promise<Wire> =>
	openTunnel(t, sallyport.address('egress'), `steady.test:${steady.port}`, { agent: workspace.agent('other') });
