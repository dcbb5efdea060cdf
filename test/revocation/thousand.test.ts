import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { listenRaw, openWire, type Wire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { idOf, openStage } from './stage.ts';

/** What an agent has open: kept-alive, in flight, tunnels, sessions. */
interface Share {
	readonly idle: number;
	readonly held: number;
	readonly tunnels: number;
	readonly sessions: number;
}

const VICTIM: Share = { idle: 50, held: 25, tunnels: 15, sessions: 10 };
const OTHERS: Share = { idle: 350, held: 100, tunnels: 30, sessions: 20 };
/** Handshakes at once. */
const AT_ONCE = 25;

test('1,000 open connections: a revoked agent has none after an instant, and the others have theirs', async t => {
	const workspace = makeWorkspace(t);
	const far = await listenRaw(t, socket => {
		socket.write('far side');
		socket.on('data', () => {}).on('end', () => socket.end());
	});
	const { sallyport, order, get, control } = await openStage(t, {
		workspace,
		upstream: {
			answer: (request, response) => {
				if (request.url !== '/held') response.end('ok');
			},
		},
		config: {
			listeners: [
				{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
				{ name: 'opaque', address: '127.0.0.1:0', upstream: 'opaque' },
			],
		},
		upstreams: { opaque: { address: far.address, protocol: 'tcp' } },
	});
	const open = async (name: string, share: Share): Promise<Wire[]> => {
		const agent = workspace.agent(name);
		const at = (listener: string): Promise<Wire> => openWire(t, sallyport.address(listener), { agent });
		const ways: readonly [number, () => Promise<Wire>][] = [
			[
				share.idle,
				async () => {
					const wire = await at('egress');
					wire.send(get('/'));
					await wire.receives('ok');
					return wire;
				},
			],
			[
				share.held,
				async () => {
					const wire = await at('egress');
					wire.send(get('/held'));
					return wire;
				},
			],
			[
				share.tunnels,
				async () => {
					const wire = await at('egress');
					wire.send(`CONNECT ${far.address} HTTP/1.1\r\nHost: ${far.address}\r\n\r\n`);
					await wire.receives('far side');
					return wire;
				},
			],
			[
				share.sessions,
				async () => {
					const wire = await at('opaque');
					await wire.receives('far side');
					return wire;
				},
			],
		];
		const wires: Wire[] = [];
		for (const [count, way] of ways)
			for (let left = count; left > 0; left -= AT_ONCE)
				wires.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, way))));
		return wires;
	};
	const names = ['v1', 'v2', 'v3', 'v4', 'v5'];
	const others = await open('b', OTHERS);
	const victims: Wire[][] = [];
	for (const name of names) victims.push(await open(name, VICTIM));
	const count = async (): Promise<number> =>
		[...(await sallyport.metrics()).matchAll(/^sallyport_connections\{.*\} (\d+)$/gm)].reduce(
			(sum, [, n]) => sum + Number(n),
			0,
		);
	assert.equal(await count(), 1000);
	await until(
		async () => /^sallyport_calls_open 400$/m.test(await sallyport.metrics()),
		'all that is held is under way',
	);

	const figures: { readonly ended: number; readonly of: number; readonly agent: number; readonly inside: number }[] =
		[];
	const revoke = async (what: string, wires: readonly Wire[], of: number): Promise<void> => {
		const closed = Promise.all(
			wires.map(({ socket }) => new Promise<number>(resolve => socket.once('close', () => resolve(performance.now())))),
		);
		const begun = performance.now();
		const { connections, effect_ms: inside } = await order(what);
		assert.equal(connections, wires.length);
		figures.push({ ended: wires.length, of, agent: Math.max(...(await closed)) - begun, inside: Number(inside) });
	};
	for (const [index, name] of names.entries()) await revoke(idOf(name), victims[index] ?? [], 1000 - 100 * index);
	assert.equal(others.filter(({ socket }) => socket.destroyed || socket.readableEnded).length, 0, 'the others stay');
	assert.equal(await count(), 500);
	const everybody = 'spiffe://example.org/agents/*';
	await revoke(everybody, others, 500);
	// And all at once: the agents of 1,000 connections.
	assert.equal((await control('DELETE', `/v1/revocations?what=${encodeURIComponent(everybody)}`)).status, 200);
	const all = await open('c', OTHERS);
	for (const name of ['w1', 'w2', 'w3', 'w4', 'w5']) all.push(...(await open(name, VICTIM)));
	assert.equal(await count(), 1000);
	await revoke(everybody, all, 1000);
	// A loaded machine may be late once, not every time. What agents see is told, and depends on them too.
	const best = Math.min(...figures.map(({ inside }) => inside));
	for (const { ended, of, agent, inside } of figures)
		t.diagnostic(
			`${ended} of ${of} open connections: ended in Sallyport ${inside.toFixed(1)} ms after the order came, the last seen closed by the agent ${agent.toFixed(1)} ms after it was sent`,
		);
	assert.ok(best < 100, `${best} ms in Sallyport at best`);
});
