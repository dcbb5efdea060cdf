import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { cancelRequest } from '../../src/protocols/postgres/messages.ts';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { type Certificates, certificates } from '../support/door-certificates.ts';
import { keyOf, pgClient, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { hasPsql } from '../support/psql.ts';
import { exchangeRaw } from '../support/raw.ts';

/** Sends a cancel request inside TLS, and waits until it was dealt with. */
async function cancelOverTls(port: number, certs: Certificates, agent: string, key: Buffer): Promise<void> {
	const { certificate, key: privateKey } = certs.agent(agent);
	const options = { ca: certs.ca, cert: certificate, key: privateKey, servername: 'localhost' };
	const socket = tlsConnect({ port, host: '127.0.0.1', ...options, ALPNProtocols: ['postgresql'] });
	socket.end(cancelRequest(key));
	socket.resume();
	await once(socket, 'close');
}

test('a cancel request reaches only a live session of the same door', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t, { tls: certs.server });
	const direct = { port: db.port, user: 'postgres', database: 'postgres' };
	for (const upstreamTls of [false, true]) {
		const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port, upstreamTls });
		const other = await openDoor(t, { protocol, certificates: certs, upstream: db.port, upstreamTls });
		const { certificate: cert, key } = certs.agent('researcher');
		const ssl = { ca: certs.ca, cert, key };
		const client = pgClient({ port: door.port, user: 'postgres', database: 'postgres', ssl });
		await client.connect();
		const own = keyOf(client);
		/** A query that the database is seen to run; it comes wrapped, because promises are not given in promises. */
		const running = async (): Promise<{ query: Promise<unknown> }> => {
			const query = client.query('select pg_sleep(20)');
			query.catch(() => {});
			const seen = "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(20)'";
			while ((await pgQuery(direct, seen)).length === 0);
			return { query };
		};
		const [row] = (await client.query('select pg_backend_pid() as pid')).rows;
		assert.notEqual(own.readInt32BE(0), row.pid, 'the key is not the one of the database');

		// In the clear, as psql 15 does it.
		let { query } = await running();
		await exchangeRaw(door.port, cancelRequest(own));
		await assert.rejects(query, { code: '57014' });

		({ query } = await running());
		await cancelOverTls(door.port, certs, 'researcher', own);
		await assert.rejects(query, { code: '57014' });

		const dials = door.dials.length;
		const wrong = Buffer.from(own);
		wrong[7] = (wrong[7] ?? 0) ^ 1;
		await exchangeRaw(door.port, cancelRequest(wrong));
		await cancelOverTls(door.port, certs, 'another', own);
		await exchangeRaw(other.port, cancelRequest(own));
		await until(() => door.refusals.length === 2 && other.refusals.length === 1);
		assert.equal(door.dials.length, dials, 'neither a wrong key nor another agent');
		assert.deepEqual(other.dials, [], 'nor another door');
		assert.deepEqual((await client.query('select 1 as alive')).rows, [{ alive: 1 }]);

		await client.end();
		await until(() => door.door.size === 0);
		await exchangeRaw(door.port, cancelRequest(own));
		await until(() => door.refusals.length === 3);
		assert.equal(door.dials.length, dials, 'nor the key of a session that is over');
		assert.equal(door.outcomes.length, 1);
	}
});

test('Ctrl-C in psql', { skip: hasPsql() ? false : 'psql is not installed' }, async t => {
	const certs = certificates(t);
	const db = await usePostgres(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port });
	const agent = certs.agent('researcher');
	const connection = `host=localhost port=${door.port} user=postgres sslmode=verify-full sslrootcert=${certs.caPath} sslcert=${agent.certificatePath} sslkey=${agent.keyPath}`;
	const child = spawn('psql', ['--no-psqlrc', '-At', '-d', connection], { stdio: ['pipe', 'pipe', 'pipe'] });
	let said = '';
	child.stdout.on('data', chunk => {
		said += chunk;
	});
	child.stderr.on('data', chunk => {
		said += chunk;
	});
	child.stdin.end("select 'started';\nselect pg_sleep(20);\nselect 'after';\n");
	await until(() => said.includes('started'));
	child.kill('SIGINT');
	await once(child, 'close');
	assert.match(said, /canceling statement due to user request/);
	assert.deepEqual(door.dials.length, 2);
});
