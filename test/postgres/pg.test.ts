import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgClient, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';

test('pg works through a door, with SSLRequest and with direct TLS', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port });
	const { certificate: cert, key } = certs.agent('researcher');
	const options = { port: door.port, user: 'postgres', database: 'postgres', ssl: { ca: certs.ca, cert, key } };

	for (const sslnegotiation of ['postgres', 'direct'] as const) {
		const client = pgClient({ ...options, sslnegotiation });
		await client.connect();
		const { rows } = await client.query('select $1::int + 1 as sum, current_database() as db', [41]);
		assert.deepEqual(rows, [{ sum: 42, db: 'postgres' }]);
		await assert.rejects(client.query('select nothing'), { code: '42703' });
		await client.query('create temporary table things (id int)');
		await client.query('begin');
		await client.query('insert into things select generate_series(1, 1000)');
		await client.query('commit');
		assert.deepEqual((await client.query('select count(*)::int as n from things')).rows, [{ n: 1000 }]);
		const heard = new Promise<string | undefined>(resolve =>
			client.on('notification', message => resolve(message.payload)),
		);
		await client.query('listen news');
		await client.query("notify news, 'extra'");
		assert.equal(await heard, 'extra');
		await client.end();
	}

	const sizes = await Promise.all(
		[1, 2, 3, 4].map(async i => {
			const [row] = await pgQuery(options, "select repeat('x', $1::int) as text", [i * 1_000_000]);
			return String(row?.['text']).length;
		}),
	);
	assert.deepEqual(sizes, [1_000_000, 2_000_000, 3_000_000, 4_000_000]);
	await until(() => door.door.size === 0);
	assert.deepEqual(new Set(door.outcomes.map(outcome => outcome.cause)), new Set(['completed']));
	assert.equal(door.outcomes.length, 6);
});
