import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { AS_AGENT, openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { hasPsql, psql } from '../support/psql.ts';

test('a Unix socket that one agent can reach needs no certificate', async t => {
	const certs = certificates(t);
	const directory = mkdtempSync(join(tmpdir(), 'sallyport-socket-'));
	t.after(() => rmSync(directory, { recursive: true }));
	const db = await usePostgres(t);
	const unix = join(directory, '.s.PGSQL.5432');
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port, authenticate: 'as', unix });
	const options = { host: directory, port: 5432, user: 'postgres', database: 'postgres' };
	assert.deepEqual(await pgQuery(options, 'select 1 as one'), [{ one: 1 }]);
	assert.equal(door.conns[0]?.identity.agent.id, AS_AGENT);
	if (hasPsql()) {
		const { stdout, stderr } = await psql(`host=${directory} user=postgres`, 'select 2');
		assert.equal(stdout.trim(), '2', stderr);
	}
	await until(() => door.door.size === 0);
});
