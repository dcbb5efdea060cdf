import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';

const PASSWORD = 'gehe\u00adim äöü';
const sql = [
	`create role scram login password '${PASSWORD}'`,
	"set password_encryption = 'md5'; create role hashed login password 'hashed-secret'",
	"create role clear login password 'clear-secret'",
];
const hba = ['host all scram all scram-sha-256', 'host all hashed all md5', 'host all clear all password'];

test('Sallyport logs in with its own credential, and the agent never has it', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t, { tls: certs.server, hba, sql });
	const passwords: Record<string, string> = { scram: PASSWORD, hashed: 'hashed-secret', clear: 'clear-secret' };
	for (const upstreamTls of [true, false]) {
		let username = 'scram';
		let stranger: 'no_match' | 'unavailable' = 'no_match';
		const door = await openDoor(t, {
			protocol,
			certificates: certs,
			upstream: db.port,
			upstreamTls,
			credential: ({ agent }) =>
				agent.path === '/agents/stranger' ? stranger : { username, password: passwords[username] ?? 'wrong' },
		});
		const { certificate: cert, key } = certs.agent('researcher');
		const options = { port: door.port, user: 'asked', database: 'postgres', ssl: { ca: certs.ca, cert, key } };
		for (username of upstreamTls ? ['scram', 'hashed', 'clear'] : ['scram', 'hashed']) {
			assert.deepEqual(await pgQuery(options, 'select current_user as me'), [{ me: username }]);
			assert.match(
				door.calls.at(-1)?.sections[0]?.text ?? '',
				/"user":"asked"/,
				'policy sees what the agent asked for',
			);
		}

		username = 'scram';
		passwords['scram'] = 'wrong';
		const error = await pgError(options);
		passwords['scram'] = PASSWORD;
		assert.equal(error.code, '28P01');
		assert.match(error.message, /upstream_unreachable/);
		assert.equal(error.detail, 'the upstream refused the session with SQLSTATE 28P01');
		assert.match(error.hint ?? '', /Check `credentials` of the upstream/);

		const { certificate, key: strangerKey } = certs.agent('stranger');
		const other = { ...options, ssl: { ca: certs.ca, cert: certificate, key: strangerKey } };
		const unmatched = await pgError(other);
		assert.match(unmatched.message, /no_credential/);
		assert.equal(unmatched.code, '28000');
		stranger = 'unavailable';
		const unavailable = await pgError(other);
		assert.equal(unavailable.code, '28000');
		assert.equal(unavailable.detail, 'the credential for this upstream is not available now');

		if (!upstreamTls) {
			username = 'clear';
			const clear = await pgError(options);
			assert.match(clear.detail ?? '', /clear text, and there is no TLS/);
		}
		await until(() => door.door.size === 0);
		const before = db.connections();
		assert.equal(door.dials.length, door.outcomes.length);
		assert.ok(before > 0);
	}
});
