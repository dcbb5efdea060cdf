import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { pgClient, pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { hasPsql, psql } from '../support/psql.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a Postgres door of the real process: decided, recorded, opened; or refused, and the database sees nothing', async t => {
	const workspace = makeWorkspace(t);
	const server = workspace.server('db');
	const db = await usePostgres(t, {
		sql: ["create role held login password 'held-secret'", 'create database shop'],
		tls: { certificate: readFileSync(server.certificate, 'utf8'), key: readFileSync(server.key, 'utf8') },
		hba: ['hostssl all held all scram-sha-256'],
	});
	const policy = policyOf(
		'default allow := false',
		'allow if input.sql.database == "shop"\n\nallow if input.sql.user == "postgres"\n\ndeny contains "not here" if input.sql.database == "secrets"',
	);
	const sallyport = await startSallyport(t, workspace, {
		policy,
		config: {
			listeners: [{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders' }],
			upstreams: {
				orders: {
					address: `localhost:${db.port}`,
					protocol: 'postgres',
					tls: { trust_bundle: 'certs/ca.pem' },
					credentials: [{ agents: ['spiffe://example.org/agents/*'], username: 'held', password: 'held-secret' }],
				},
			},
		},
	});
	const port = Number(sallyport.address('orders').split(':').at(-1));
	const agent = workspace.agent('researcher');
	const read = (path: string): string => readFileSync(path, 'utf8');
	const ssl = { ca: read(workspace.ca), cert: read(agent.certificate), key: read(agent.key) };
	const options = { port, user: 'asked', database: 'shop', ssl };

	const refused = await pgError({ ...options, database: 'secrets' });
	assert.equal(refused.code, '28000');
	assert.equal(refused.detail, 'not here');
	const denial = await sallyport.waitForRecord(record => record.cause === 'denied_by_rule', 'the refusal');
	assert.ok(refused.hint?.includes(`decision ${denial.decision_id}`), refused.hint);

	const me = 'select current_user as me, current_database() as db';
	assert.deepEqual(await pgQuery(options, me), [{ me: 'held', db: 'shop' }]);
	await until(() => db.connections() > 0, 'the log of the connection');
	assert.equal(db.connections(), 1, 'the refused one never came');
	if (hasPsql()) {
		// libpq refuses keys that others can read.
		chmodSync(agent.key, 0o600);
		const tls = `sslmode=verify-full sslrootcert=${workspace.ca} sslcert=${agent.certificate} sslkey=${agent.key}`;
		const { stdout, stderr } = await psql(`host=localhost port=${port} user=asked dbname=shop ${tls}`, 'select 40 + 2');
		assert.equal(stdout.trim(), '42', stderr);
	}

	const outcome = await sallyport.waitForRecord(
		record => record.type === 'outcome' && record.cause === 'completed',
		'an outcome',
	);
	const decision = sallyport
		.records()
		.find(record => record.type === 'decision' && record.decision_id === outcome.decision_id);
	assert.equal(decision?.path, 'sallyport/connect');
	assert.equal(JSON.stringify(sallyport.records()).includes('held-secret'), false);
	assert.equal(sallyport.stderr().includes('held-secret'), false);

	// A policy that no longer opens the session closes it.
	const client = pgClient(options);
	await client.connect();
	const told = once(client, 'error');
	workspace.write('policies/connect.rego', 'package sallyport.connect\n\ndefault allow := false\n');
	const [error] = await told;
	assert.equal(error.code, '57P01');
	assert.match(error.message, /policy_changed/);
	await sallyport.waitForRecord(
		record => record.type === 'outcome' && record.cause === 'policy_changed',
		'its outcome',
	);

	await pgError(options);
	const { code } = await sallyport.stop();
	assert.equal(code, 0);
});

test('a token door of the real process', async t => {
	const workspace = makeWorkspace(t);
	const db = await usePostgres(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{
					name: 'orders',
					address: '127.0.0.1:0',
					upstream: 'orders',
					authenticate: { token: { directory: 'tokens', agents: ['spiffe://example.org/agents/researcher'] } },
				},
			],
			upstreams: { orders: { address: `127.0.0.1:${db.port}`, protocol: 'postgres' } },
		},
	});
	const port = Number(sallyport.address('orders').split(':').at(-1));
	const password = readFileSync(workspace.path('tokens', 'researcher', 'token'), 'utf8').trim();
	const options = { port, user: 'postgres', database: 'postgres' };
	assert.deepEqual(await pgQuery({ ...options, password }, 'select 1 as one'), [{ one: 1 }]);
	const wrong = await pgError({ ...options, password: 'wrong' });
	assert.equal(wrong.code, '28000');
	assert.match(wrong.message, /identity_invalid/);
	await sallyport.waitForRecord(record => record.cause === 'identity_invalid', 'the refusal');
	const record = await sallyport.waitForRecord(({ type }) => type === 'decision', 'the decision');
	assert.equal(JSON.stringify(record).includes('"authentication":"token"'), true);
	assert.equal(JSON.stringify(sallyport.records()).includes(password), false);
});
