import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { Life } from '../../src/model/life.ts';
import type { SessionPermit } from '../../src/model/permit.ts';
import { target } from '../../src/model/target.ts';
import { grantSession } from '../../src/policy/permit.ts';
import { type TunnelEnd, Tunnels } from '../../src/proxy/session/tunnel.ts';
import { until } from '../support/door.ts';
import { agent as identity } from '../support/session-harness.ts';
import { readAll, useServer } from '../support/tcp.ts';

const permitFor = (port: number): SessionPermit =>
	grantSession({
		decisionId: 'decision-1',
		conn: { id: 'c1', identity, listener: 'egress', life: new Life() },
		target: target({ host: '127.0.0.1', port, protocol: 'tunnel', tls: false }),
		life: new Life(),
	});

/** Agents whose identity does not expire. */
const NEVER = { of: () => undefined };

interface Opened {
	readonly agent: Socket;
	readonly tunnels: Tunnels;
	readonly ends: TunnelEnd[];
	readonly permit: SessionPermit;
}

/** An agent's socket, and a tunnel from its other end to an upstream. */
async function open(
	t: TestContext,
	serve: (socket: Socket) => void,
	head: string,
	limits = { sessionAge: 0, sessionIdle: 0 },
): Promise<Opened> {
	const upstream = await useServer(t, serve);
	const tunnels = new Tunnels(limits, NEVER);
	const ends: TunnelEnd[] = [];
	const permit = permitFor(upstream);
	const port = await useServer(t, socket => {
		socket.pause();
		const dialled = connect({ port: upstream, host: '127.0.0.1' }, () => {
			tunnels.open({ socket, head: Buffer.from(head) }, dialled, permit, end => ends.push(end));
		});
	});
	const agent = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
	agent.on('error', () => {});
	return { agent, tunnels, ends, permit };
}

test('a tunnel carries the head first, then everything, and ends each way by itself', async t => {
	const { agent, tunnels, ends } = await open(
		t,
		socket => {
			let got = '';
			socket.on('data', chunk => {
				got += chunk;
			});
			socket.on('end', () => socket.end(`you said ${got}`));
		},
		'head ',
	);
	agent.end('and body');
	assert.equal((await readAll(agent)).toString(), 'you said head and body');
	await until(() => tunnels.size === 0);
	assert.deepEqual(ends, [{ cause: 'completed', bytesSent: 13, bytesReceived: 22 }]);
});

test('an agent may go on when the upstream has said everything', async t => {
	let got = '';
	const { agent, tunnels, ends } = await open(
		t,
		socket => {
			socket.end('that is all');
			socket.on('data', chunk => {
				got += chunk;
			});
		},
		'',
	);
	assert.equal((await readAll(agent)).toString(), 'that is all');
	agent.write('but ');
	await until(() => got === 'but ');
	agent.end('I go on');
	await until(() => tunnels.size === 0);
	assert.equal(got, 'but I go on');
	assert.deepEqual(ends, [{ cause: 'completed', bytesSent: 11, bytesReceived: 11 }]);
});

/** A socket whose peer takes what is written only after a while. */
class SlowSocket extends Duplex {
	taken = '';
	override _read(): void {}
	override _write(chunk: Buffer, _encoding: string, done: () => void): void {
		setTimeout(() => {
			this.taken += chunk.toString();
			done();
		}, 1300);
	}
}

test('last words are flushed to a slow agent before its socket is closed', async t => {
	const upstream = await useServer(t, socket => socket.end('last words'));
	const tunnels = new Tunnels({ sessionAge: 0, sessionIdle: 0 }, NEVER);
	const slow = new SlowSocket();
	const ends: TunnelEnd[] = [];
	const dialled = connect({ port: upstream, host: '127.0.0.1' });
	slow.push(null);
	// What a tunnel uses of a socket, a Duplex has.
	tunnels.open({ socket: slow as unknown as Socket, head: Buffer.alloc(0) }, dialled, permitFor(upstream), end =>
		ends.push(end),
	);
	await until(() => tunnels.size === 0);
	assert.equal(slow.taken, 'last words');
	assert.equal(ends[0]?.cause, 'completed');
});

test('the end of its life cuts a tunnel', async t => {
	const { agent, tunnels, ends, permit } = await open(t, socket => socket.pipe(socket), '');
	agent.write('.');
	await new Promise(resolve => agent.once('data', resolve));
	agent.resume();
	permit.life.end('revoked');
	permit.life.end('draining');
	await until(() => tunnels.size === 0);
	assert.deepEqual(ends, [{ cause: 'revoked', bytesSent: 1, bytesReceived: 1 }]);
});

test('a tunnel whose life is over before it begins carries nothing', async t => {
	let got = 0;
	const upstream = await useServer(t, socket => socket.on('data', () => got++));
	const tunnels = new Tunnels({ sessionAge: 0, sessionIdle: 0 }, NEVER);
	const permit = permitFor(upstream);
	permit.life.end('revoked');
	const ends: TunnelEnd[] = [];
	const port = await useServer(t, socket => {
		const dialled = connect({ port: upstream, host: '127.0.0.1' }, () => {
			tunnels.open({ socket, head: Buffer.from('secret') }, dialled, permit, end => ends.push(end));
		});
	});
	const agent = connect({ port, host: '127.0.0.1' });
	agent.on('error', () => {});
	agent.resume();
	await until(() => ends.length === 1 && tunnels.size === 0);
	assert.deepEqual(ends, [{ cause: 'revoked', bytesSent: 0, bytesReceived: 0 }]);
	assert.equal(got, 0);
});

test('breaks of either side and time limits end a tunnel once', async t => {
	const reset = await open(t, socket => socket.on('data', () => socket.resetAndDestroy()), 'now');
	reset.agent.resume();
	await until(() => reset.ends.length === 1 && reset.tunnels.size === 0);
	assert.equal(reset.ends[0]?.cause, 'upstream_reset');

	const gone = await open(t, socket => socket.pipe(socket), '');
	gone.agent.write('.');
	await new Promise(resolve => gone.agent.once('data', resolve));
	gone.agent.resetAndDestroy();
	await until(() => gone.ends.length === 1 && gone.tunnels.size === 0);
	assert.equal(gone.ends[0]?.cause, 'agent_aborted');

	const idle = await open(t, socket => socket.pipe(socket), '', { sessionAge: 0, sessionIdle: 500 });
	idle.agent.resume();
	await until(() => idle.ends.length === 1 && idle.tunnels.size === 0);
	assert.equal(idle.ends[0]?.cause, 'session_expired');
});
