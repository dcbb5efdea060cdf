import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, TOKEN, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';

test('a token is the password of its door, and goes no further', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t, {
		sql: ["create role app login password 'held'", 'create role trusted login'],
		hba: ['host all trusted all trust', 'host all app all scram-sha-256'],
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port, authenticate: 'token' });
	const options = { port: door.port, user: 'trusted', database: 'postgres' };
	const me = 'select current_user as me';

	assert.deepEqual(await pgQuery({ ...options, password: TOKEN }, me), [{ me: 'trusted' }]);
	assert.deepEqual(
		await pgQuery({ ...options, password: TOKEN, ssl: { ca: certs.ca } }, me),
		[{ me: 'trusted' }],
		'over TLS too',
	);

	const wrong = await pgError({ ...options, password: 'wrong' });
	assert.equal(wrong.code, '28000');
	assert.match(wrong.message, /identity_invalid/);

	const needed = await pgError({ ...options, user: 'app', password: TOKEN });
	assert.match(needed.message, /no_credential/);
	assert.match(needed.detail ?? '', /add `credentials`/);

	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.refusals.map(refusal => refusal.cause),
		['identity_invalid'],
	);
	assert.equal(db.log().includes(TOKEN), false);

	const holding = await openDoor(t, {
		protocol,
		certificates: certs,
		upstream: db.port,
		authenticate: 'token',
		credential: () => ({ username: 'app', password: 'held' }),
	});
	assert.deepEqual(await pgQuery({ ...options, port: holding.port, user: 'any', password: TOKEN }, me), [
		{ me: 'app' },
	]);
});
