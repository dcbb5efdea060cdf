import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type pg from 'pg';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgClient, pgError } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';

test('the end of a life ends the session, in words where it is between two messages', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port });
	const { certificate: cert, key } = certs.agent('researcher');
	const connect = async (): Promise<pg.Client> => {
		const client = pgClient({
			port: door.port,
			user: 'postgres',
			database: 'postgres',
			ssl: { ca: certs.ca, cert, key },
		});
		await client.connect();
		return client;
	};

	const idle = await connect();
	const told = once(idle, 'error') as Promise<[pg.DatabaseError]>;
	door.conns.at(-1)?.life.end('revoked');
	const [error] = await told;
	assert.equal(error.code, '57P01');
	assert.match(error.message, /revoked/);
	assert.match(error.hint ?? '', /decision decision-/);

	const busy = await connect();
	const copying = busy.query("select repeat('x', 1000) from generate_series(1, 10000000)");
	const failed = assert.rejects(copying);
	await until(() => door.door.size === 1);
	door.conns.at(-1)?.life.end('policy_changed');
	await failed;

	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.outcomes.map(outcome => outcome.cause),
		['revoked', 'policy_changed'],
	);
	assert.equal(door.over, 2);
});

test('a life that ends while it is decided or dialled: refused in words, and one outcome', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port, decideAfter: 30 });
	const { certificate: cert, key } = certs.agent('researcher');
	const refused = pgError({
		port: door.port,
		user: 'postgres',
		database: 'postgres',
		ssl: { ca: certs.ca, cert, key },
	});
	await until(() => door.calls.length === 1);
	door.conns.at(-1)?.life.end('revoked');
	assert.match((await refused).message, /revoked/);
	await until(() => door.outcomes.length === 1 && door.door.size === 0);
	assert.deepEqual(door.outcomes, [{ cause: 'revoked', bytesSent: 0, bytesReceived: 0 }]);
	assert.deepEqual(door.dials, []);
});

test('an upstream that is not there, or dies, is told', async t => {
	const certs = certificates(t);
	const { certificate: cert, key } = certs.agent('researcher');
	const ssl = { ca: certs.ca, cert, key };
	const nowhere = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	const error = await pgError({ port: nowhere.port, user: 'app', database: 'shop', ssl });
	assert.equal(error.code, '08006');
	assert.match(error.message, /upstream_unreachable/);

	const db = await usePostgres(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port });
	const client = pgClient({ port: door.port, user: 'postgres', database: 'postgres', ssl });
	await client.connect();
	const ended = new Promise(resolve => client.once('end', resolve));
	await db.stop();
	await ended;
	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.outcomes.map(outcome => outcome.cause),
		['upstream_reset'],
	);
});
