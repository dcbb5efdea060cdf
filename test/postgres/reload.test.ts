import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type pg from 'pg';
import { cancelRequest } from '../../src/protocols/postgres/messages.ts';
import { reload } from '../reload/support.ts';
import { keyOf, pgClient, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { exchangeRaw } from '../support/raw.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a reload ends the session that would sign in as somebody else now; others go on, and can be cancelled', async t => {
	const workspace = makeWorkspace(t);
	const db = await usePostgres(t, {
		sql: ["create role one login password 'first'", "create role two login password 'second'"],
		hba: ['host all one all scram-sha-256', 'host all two all scram-sha-256', 'host all postgres all trust'],
	});
	const config = (researcher: [string, string], other: [string, string]) => ({
		listeners: [{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders' }],
		upstreams: {
			orders: {
				address: `127.0.0.1:${db.port}`,
				protocol: 'postgres',
				credentials: Object.entries({ researcher, other }).map(([name, [username, password]]) => ({
					agents: [`spiffe://example.org/agents/${name}`],
					username,
					password,
				})),
			},
		},
	});
	const sallyport = await startSallyport(t, workspace, { config: config(['one', 'first'], ['one', 'first']) });
	const port = Number(sallyport.address('orders').split(':')[1]);
	const read = (path: string): string => readFileSync(path, 'utf8');
	const open = async (name: string): Promise<pg.Client> => {
		const agent = workspace.agent(name);
		const ssl = { ca: read(workspace.ca), cert: read(agent.certificate), key: read(agent.key) };
		const client = pgClient({ port, user: name, database: 'postgres', ssl });
		await client.connect();
		return client;
	};
	const me = async (client: pg.Client): Promise<unknown> =>
		(await client.query('select current_user as me')).rows[0]?.me;
	const researcher = await open('researcher');
	const other = await open('other');
	assert.equal(await me(researcher), 'one');

	await pgQuery({ port: db.port, user: 'postgres', database: 'postgres' }, "alter role one password 'renewed'");
	assert.equal((await reload(workspace, config(['one', 'renewed'], ['one', 'first']))).taken, true);
	assert.equal(await me(researcher), 'one', 'it would sign in as the same user');
	const running = researcher.query('select pg_sleep(20)');
	const cancelled = assert.rejects(running, { code: '57014' });
	const direct = { port: db.port, user: 'postgres', database: 'postgres' };
	const active = "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(20)'";
	await until(async () => (await pgQuery(direct, active)).length > 0, 'the query runs');
	await exchangeRaw(port, cancelRequest(keyOf(researcher)));
	await cancelled;

	const told = once(researcher, 'error');
	assert.equal((await reload(workspace, config(['two', 'second'], ['one', 'first']))).taken, true);
	const [error] = await told;
	assert.equal(error.code, '57P01');
	assert.match(error.message, /policy_changed/);
	assert.equal(await me(other), 'one', 'its entry is the same');
	const again = await open('researcher');
	assert.equal(await me(again), 'two');
	await again.end();
	await other.end();
});
