import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { SessionPermit } from '../../src/model/permit.ts';
import type { SessionEvent, SessionProtocol, SessionStep } from '../../src/protocols/contract.ts';
import { tcp } from '../../src/protocols/tcp/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { connectAgent, useServer } from '../support/tcp.ts';

/** The tcp machine, but what it does is changed on the way. */
const changed = (
	change: (event: SessionEvent, steps: readonly SessionStep[]) => readonly SessionStep[],
): SessionProtocol => ({
	...tcp,
	open: (settings, shared) => {
		const machine = tcp.open(settings, undefined);
		void shared;
		return { on: event => change(event, machine.on(event)) };
	},
});

test('a machine that sends under an object in the shape of a permit gets nothing out', async t => {
	const certs = certificates(t);
	const got: Buffer[] = [];
	const upstream = await useServer(t, socket => socket.on('data', chunk => got.push(chunk)));
	const forge = (permit: SessionPermit): SessionPermit => ({ ...permit });
	const protocol = changed((_event, steps) =>
		steps.map(step => (step.kind === 'toUpstream' ? { ...step, permit: forge(step.permit) } : step)),
	);
	const door = await openDoor(t, { protocol, certificates: certs, upstream });
	const agent = await connectAgent(door.port, certs);
	agent.resume().on('end', () => agent.end());
	agent.write('secret');
	await until(() => door.door.size === 0);
	assert.equal(got.length, 0);
	assert.deepEqual(door.outcomes, [
		{ cause: 'unknown', bytesSent: 0, bytesReceived: 0, error: 'internal: bytes for the upstream without a permit' },
	]);
});

test('a machine that throws ends its own session and no other', async t => {
	const certs = certificates(t);
	const upstream = await useServer(t, socket => socket.pipe(socket));
	const protocol = changed((event, steps) => {
		if (event.kind === 'bytes' && event.data.toString() === 'boom') throw new Error('a bug');
		return steps;
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream });
	const [first, second] = [await connectAgent(door.port, certs), await connectAgent(door.port, certs)];
	first.resume().on('end', () => first.end());
	first.write('boom');
	await until(() => door.outcomes.length === 1);
	assert.equal(door.outcomes[0]?.error, 'internal: a bug');
	second.write('hello');
	assert.equal(String(await new Promise(resolve => second.once('data', resolve))), 'hello');
	second.destroy();
	await until(() => door.door.size === 0);
	assert.equal(door.over, 2);
});

test('an agent that goes while it is decided: nothing is dialled, and the permit has its outcome', async t => {
	const certs = certificates(t);
	const upstream = await useServer(t, () => {});
	const door = await openDoor(t, { protocol: tcp, certificates: certs, upstream, decideAfter: 100 });
	const agent = await connectAgent(door.port, certs);
	await until(() => door.calls.length === 1);
	agent.raw.resetAndDestroy();
	await until(() => door.outcomes.length === 1 && door.door.size === 0);
	assert.equal(door.outcomes[0]?.cause, 'agent_aborted');
	assert.deepEqual(door.dials, []);
});

test('the end of a life cuts both sides, once, and all sessions of a door can be ended', async t => {
	const certs = certificates(t);
	let closed = 0;
	const upstream = await useServer(t, socket => {
		socket.pipe(socket);
		socket.on('close', () => closed++);
	});
	const door = await openDoor(t, { protocol: tcp, certificates: certs, upstream });
	const agents = [
		await connectAgent(door.port, certs),
		await connectAgent(door.port, certs),
		await connectAgent(door.port, certs),
	];
	for (const agent of agents) {
		agent.write('.');
		await new Promise(resolve => agent.once('data', resolve));
		agent.resume();
	}
	// This one never ends its own side: it is cut off after a short while.
	door.conns[0]?.life.end('revoked');
	door.conns[0]?.life.end('draining');
	await until(() => closed === 1);
	door.door.end('draining');
	await until(() => door.door.size === 0 && closed === 3);
	assert.deepEqual(
		door.outcomes.map(outcome => outcome.cause),
		['revoked', 'draining', 'draining'],
	);
	assert.equal(door.over, 3);
});

test('the end of a stream waits for an answer as bytes do', async t => {
	const certs = certificates(t);
	const events: string[] = [];
	const protocol: SessionProtocol = {
		...tcp,
		open: settings => ({
			on(event) {
				events.push(event.kind);
				if (event.kind === 'bytes') {
					const call = {
						protocol: 'tcp',
						operation: 'connect',
						resource: settings.address,
						effect: 'unknown',
					} as const;
					return [{ kind: 'decide', call, sections: [] }];
				}
				return event.kind === 'closed' ? [{ kind: 'close', cause: 'completed' }] : [];
			},
		}),
	};
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1, authenticate: 'as', decideAfter: 50 });
	const socket = connect({ port: door.port, host: '127.0.0.1' });
	// One packet with the bytes and the end of them.
	socket.cork();
	socket.end('hello');
	socket.uncork();
	socket.resume();
	await until(() => door.over === 1);
	assert.deepEqual(
		events.filter(kind => kind !== 'tick'),
		['accepted', 'bytes', 'decided', 'closed'],
	);
});
