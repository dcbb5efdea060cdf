import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcp as protocol } from '../../src/protocols/tcp/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { connectAgent, readAll, useServer } from '../support/tcp.ts';

test('bytes go both ways, and each direction ends by itself', async t => {
	const certs = certificates(t);
	const got: string[] = [];
	const upstream = await useServer(t, socket => {
		socket.write('welcome\n');
		socket.on('data', chunk => got.push(chunk.toString()));
		socket.on('end', () => socket.end('and thank you\n'));
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream });
	const agent = await connectAgent(door.port, certs);
	const all = readAll(agent);
	agent.end('one way\n');
	assert.equal((await all).toString(), 'welcome\nand thank you\n');
	assert.equal(got.join(''), 'one way\n');
	await until(() => door.door.size === 0);
	assert.deepEqual(door.outcomes, [{ cause: 'completed', bytesSent: 8, bytesReceived: 22 }]);
	assert.equal(door.calls[0]?.call.resource, `127.0.0.1:${upstream}`);
	assert.equal(door.over, 1);
});

test('an agent that has said everything before it was decided still gets its answer', async t => {
	const certs = certificates(t);
	const upstream = await useServer(t, socket => {
		socket.on('data', chunk => socket.write(`got ${chunk.length}`));
		socket.on('end', () => socket.end());
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream, decideAfter: 30 });
	const agent = await connectAgent(door.port, certs);
	const all = readAll(agent);
	agent.end('hello');
	assert.equal((await all).toString(), 'got 5');
	await until(() => door.outcomes.length === 1);
	assert.equal(door.outcomes[0]?.cause, 'completed');
});

test('refused: closed without a word, never dialled', async t => {
	const certs = certificates(t);
	let connections = 0;
	const upstream = await useServer(t, () => {
		connections++;
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream, decide: () => ({ cause: 'no_rule' }) });
	const agent = await connectAgent(door.port, certs);
	agent.write('hello');
	assert.equal((await readAll(agent)).length, 0);
	agent.destroy();
	await until(() => door.door.size === 0);
	assert.equal(connections, 0);
	assert.deepEqual([door.dials, door.outcomes, door.refusals], [[], [], []]);
});

test('without an identity: closed, never decided', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	const stranger = certificates(t);
	const agent = await connectAgent(door.port, { ...stranger, ca: certs.ca });
	assert.equal((await readAll(agent)).length, 0);
	agent.destroy();
	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.refusals.map(refusal => refusal.cause),
		['identity_invalid'],
	);
	assert.deepEqual(door.calls, []);
});

test('breaks on either side reach the other, with the cause', async t => {
	const certs = certificates(t);
	const upstream = await useServer(t, socket => {
		socket.on('data', chunk => {
			if (chunk.toString() === 'die') socket.resetAndDestroy();
			else socket.write(chunk);
		});
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream });
	const first = await connectAgent(door.port, certs);
	const closed = new Promise(resolve => first.on('close', resolve));
	first.resume().on('end', () => first.end());
	first.write('die');
	await closed;
	await until(() => door.outcomes.length === 1);

	const second = await connectAgent(door.port, certs);
	second.write('hello');
	await new Promise(resolve => second.once('data', resolve));
	second.raw.resetAndDestroy();
	await until(() => door.outcomes.length === 2 && door.door.size === 0);
	assert.deepEqual(
		door.outcomes.map(outcome => [outcome.cause, outcome.error]),
		[
			['upstream_reset', 'ECONNRESET'],
			['agent_aborted', 'ECONNRESET'],
		],
	);
	assert.equal(door.over, 2);
});
