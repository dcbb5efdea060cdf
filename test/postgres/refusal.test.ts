import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';

test('a refused agent reads FATAL 28000 with the decision id, and the database sees no connection', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t);
	const door = await openDoor(t, {
		protocol,
		certificates: certs,
		upstream: db.port,
		decide: call => (call.resource === 'secrets' ? { cause: 'denied_by_rule', msg: 'not this database' } : undefined),
	});
	const { certificate: cert, key } = certs.agent('researcher');
	const ssl = { ca: certs.ca, cert, key };

	const error = await pgError({ port: door.port, user: 'postgres', database: 'secrets', ssl });
	assert.equal(error.severity, 'FATAL');
	assert.equal(error.code, '28000');
	assert.match(error.message, /denied_by_rule/);
	assert.equal(error.detail, 'not this database');
	assert.match(error.hint ?? '', /decision decision-\d+/);
	await until(() => door.door.size === 0);
	assert.deepEqual(door.dials, []);
	assert.deepEqual(door.outcomes, []);
	assert.deepEqual(door.refusals, [], 'the decision is the record of it');

	// The log comes in order: once it holds the allowed connection, an earlier one would be in it too.
	await pgQuery({ port: door.port, user: 'postgres', database: 'postgres', ssl }, 'select 1');
	await until(() => db.connections() > 0);
	assert.equal(db.connections(), 1);
});

test('each family of causes has its SQLSTATE', async t => {
	const certs = certificates(t);
	const causes = {
		no_rule: '28000',
		policy_error: '28000',
		approval_required: '42501',
		policy_missing: '57P03',
		audit_unavailable: '57P03',
		draining: '57P03',
		revoked: '28000',
		limit_exceeded: '53400',
	} as const;
	const door = await openDoor(t, {
		protocol,
		certificates: certs,
		upstream: 1,
		decide: call => ({ cause: call.resource as keyof typeof causes }),
	});
	const { certificate: cert, key } = certs.agent('researcher');
	for (const [cause, code] of Object.entries(causes)) {
		const error = await pgError({ port: door.port, user: 'app', database: cause, ssl: { ca: certs.ca, cert, key } });
		assert.equal(error.code, code, cause);
		assert.match(error.message, new RegExp(`sallyport: ${cause}: `));
	}
});

test('a start-up parameter that is not allowed is named to the agent, and not to the records', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1, authenticate: 'as' });
	const error = await pgError({ port: door.port, user: 'app', database: 'shop', options: '-c search_path=evil' });
	assert.equal(error.code, '08P01');
	assert.equal(error.detail, 'a start-up parameter that is not allowed: options');
	assert.deepEqual(door.refusals, [{ cause: 'undecodable', detail: 'a start-up parameter that is not allowed' }]);
	assert.deepEqual(door.calls, []);
});
