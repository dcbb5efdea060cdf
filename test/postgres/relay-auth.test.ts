import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { hasPsql, psql } from '../support/psql.ts';

const sql = ["create role app login password 'own-secret'"];

test('without credentials the agent and the database authenticate between them', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t, { tls: certs.server, sql, hba: ['host all app all scram-sha-256'] });
	const agent = certs.agent('researcher');
	const ssl = { ca: certs.ca, cert: agent.certificate, key: agent.key };
	for (const upstreamTls of [false, true]) {
		const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port, upstreamTls });
		const options = { port: door.port, user: 'app', database: 'postgres', ssl };
		assert.deepEqual(await pgQuery({ ...options, password: 'own-secret' }, 'select 1 as one'), [{ one: 1 }]);
		const error = await pgError({ ...options, password: 'wrong' });
		assert.equal(error.code, '28P01');
		assert.match(error.message, /password authentication failed/, "the database's own words");
		await until(() => door.door.size === 0);
		assert.deepEqual(
			door.outcomes.map(({ cause, error: detail }) => [cause, detail]),
			[
				['completed', undefined],
				['upstream_unreachable', 'SQLSTATE 28P01'],
			],
		);
	}
});

test('psql and channel binding', { skip: hasPsql() ? false : 'psql is not installed' }, async t => {
	const certs = certificates(t);
	const db = await usePostgres(t, { tls: certs.server, sql, hba: ['host all app all scram-sha-256'] });
	const agent = certs.agent('researcher');
	const tls = `sslmode=verify-full sslrootcert=${certs.caPath} sslcert=${agent.certificatePath} sslkey=${agent.keyPath}`;
	const run = async (upstreamTls: boolean, more: string) => {
		const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port, upstreamTls });
		const connection = `host=localhost hostaddr=127.0.0.1 port=${door.port} user=app dbname=postgres ${tls} ${more}`;
		return psql(connection, 'select 1', { PGPASSWORD: 'own-secret' });
	};
	assert.equal((await run(false, '')).stdout.trim(), '1', 'an upstream without TLS offers no channel binding');
	assert.equal((await run(true, 'channel_binding=disable')).stdout.trim(), '1');
	// The client says that it could bind and was not asked to; the database asked, and takes it for an attack.
	assert.match((await run(true, '')).stderr, /channel binding/);
	assert.match((await run(true, 'channel_binding=require')).stderr, /channel binding/);
});
