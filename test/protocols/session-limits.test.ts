import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { tcp as protocol } from '../../src/protocols/tcp/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { connectAgent, useServer } from '../support/tcp.ts';

test('a TLS handshake that does not come is cut off', async t => {
	const door = await openDoor(t, { protocol, certificates: certificates(t), upstream: 1, limits: { handshake: 50 } });
	const socket = connect({ port: door.port, host: '127.0.0.1' });
	socket.on('error', () => {});
	await new Promise(resolve => socket.once('close', resolve));
	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.refusals.map(refusal => refusal.cause),
		['limit_exceeded'],
	);
	assert.equal(door.over, 1);
});

test('an idle session, and one that is too old, are ended; a busy one is not idle', async t => {
	const certs = certificates(t);
	const upstream = await useServer(t, socket => socket.pipe(socket));
	const idle = await openDoor(t, { protocol, certificates: certs, upstream, limits: { sessionIdle: 1200 } });
	const old = await openDoor(t, { protocol, certificates: certs, upstream, limits: { sessionAge: 1200 } });

	const quiet = await connectAgent(idle.port, certs);
	const busy = await connectAgent(idle.port, certs);
	const aged = await connectAgent(old.port, certs);
	const talk = setInterval(() => {
		busy.write('.');
		aged.write('.');
	}, 100);
	t.after(() => clearInterval(talk));
	for (const socket of [quiet, busy, aged]) socket.resume().on('end', () => socket.end());

	await until(() => idle.outcomes.length === 1 && old.outcomes.length === 1);
	assert.equal(idle.outcomes[0]?.cause, 'session_expired');
	assert.equal(idle.outcomes[0]?.bytesSent, 0, 'the quiet one');
	assert.equal(old.outcomes[0]?.cause, 'session_expired');
	assert.equal(idle.door.size, 1);
	busy.destroy();
	await until(() => idle.door.size === 0 && old.door.size === 0);
});

test('a dial that takes too long is over with upstream_timeout', async t => {
	const certs = certificates(t);
	// TLS to an upstream that accepts and never answers: the opening does not come to its end.
	const upstream = await useServer(t, () => {});
	const limits = { handshake: 1000, dial: 50 };
	const door = await openDoor(t, { protocol, certificates: certs, upstream, upstreamTls: true, limits });
	const agent = await connectAgent(door.port, certs);
	agent.resume().on('end', () => agent.end());
	await until(() => door.outcomes.length === 1 && door.door.size === 0);
	assert.equal(door.outcomes[0]?.cause, 'upstream_timeout');
});
