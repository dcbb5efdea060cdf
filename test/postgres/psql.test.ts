import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { usePostgres } from '../support/postgres.ts';
import { hasPsql, psql } from '../support/psql.ts';

test('psql works through a door with the SVID of an agent', {
	skip: hasPsql() ? false : 'psql is not installed',
}, async t => {
	const certs = certificates(t);
	const db = await usePostgres(t, { sql: ['create role app login', 'create database shop owner app'] });
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port });
	const agent = certs.agent('researcher');
	const connection = `host=localhost hostaddr=127.0.0.1 port=${door.port} user=app dbname=shop sslmode=verify-full sslrootcert=${certs.caPath} sslcert=${agent.certificatePath} sslkey=${agent.keyPath}`;

	const answer = await psql(connection, 'select current_user, current_database()');
	assert.equal(answer.stdout.trim(), 'app|shop', answer.stderr);
	assert.equal(answer.status, 0);
	assert.deepEqual(door.calls[0]?.call, {
		protocol: 'postgres',
		operation: 'connect',
		resource: 'shop',
		effect: 'unknown',
		record: { user: 'app' },
	});
	assert.equal(door.calls[0]?.sections[0]?.text, '{"dialect":"postgres","database":"shop","user":"app"}');

	const copied = await psql(
		connection,
		"copy (select i, repeat('x', 200) from generate_series(1, 100000) i) to stdout",
	);
	assert.equal(copied.stdout.length, 20_000_000 + 100_000 * 2 + 488_895);
	assert.equal(copied.status, 0);

	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.outcomes.map(outcome => outcome.cause),
		['completed', 'completed'],
	);
	assert.ok((door.outcomes[1]?.bytesReceived ?? 0) > 20_000_000);
	assert.equal(door.over, 2);
});
