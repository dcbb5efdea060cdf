import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { Client } from 'pg';
import { pgClient } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** An error that a client was told between two statements. */
interface Told {
	readonly code: string | undefined;
	/** Milliseconds since the epoch. */
	readonly at: number;
}

/** A door before a real Postgres, and how an agent connects whose SVID lives so many milliseconds. */
async function opened(t: TestContext, lifetime: number, limits: Readonly<Record<string, unknown>> = {}) {
	const workspace = makeWorkspace(t);
	const db = await usePostgres(t, { sql: [] });
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders' }],
			upstreams: { orders: { address: `127.0.0.1:${db.port}`, protocol: 'postgres' } },
			limits,
		},
	});
	const port = Number(sallyport.address('orders').split(':').at(-1));
	const expires = Math.floor((Date.now() + lifetime) / 1000) * 1000;
	const { certificate, key } = workspace.issue('short', 'spiffe://example.org/agents/short', { lifetime });
	const ssl = { ca: readFileSync(workspace.ca), cert: readFileSync(certificate), key: readFileSync(key) };
	return { sallyport, expires, options: { port, user: 'postgres', database: 'postgres', ssl } };
}

test('when the SVID expires an idle session ends, and one in a transaction ends behind it', async t => {
	const { sallyport, expires, options } = await opened(t, 5000);
	const open = async (): Promise<{ client: Client; errors: Told[] }> => {
		const client = pgClient(options);
		const errors: Told[] = [];
		client.on('error', (error: Error & { code?: string }) => errors.push({ at: Date.now(), code: error.code }));
		await client.connect();
		return { client, errors };
	};
	const [idle, busy, slow] = [await open(), await open(), await open()];
	await idle.client.query('select 1');
	await busy.client.query('begin');
	const sleeping = slow.client.query('select pg_sleep(6) is not null as slept');

	await until(() => idle.errors.length > 0, 'the idle session ends');
	assert.equal(idle.errors[0]?.code, '57P01');
	assert.ok((idle.errors[0]?.at ?? 0) >= expires, 'not before');

	// Each is later than the tick that ended the idle one.
	assert.deepEqual((await busy.client.query('select 2 as two')).rows, [{ two: 2 }]);
	assert.equal(busy.errors.length, 0);
	await busy.client.query('commit');
	await until(() => busy.errors.length > 0, 'the session ends behind its transaction');
	assert.equal(busy.errors[0]?.code, '57P01');

	assert.deepEqual((await sleeping).rows, [{ slept: true }]);
	await until(() => slow.errors.length > 0, 'the session ends behind its statement');
	assert.equal(slow.errors[0]?.code, '57P01');
	const outcomes = await until(() => {
		const ended = sallyport.records().filter(({ type }) => type === 'outcome');
		return ended.length === 3 ? ended : undefined;
	}, 'every session has its outcome');
	assert.deepEqual(
		outcomes.map(({ cause }) => cause),
		['session_expired', 'session_expired', 'session_expired'],
	);
});

test('with `close` a statement that is under way ends with the SVID', async t => {
	const { sallyport, options } = await opened(t, 3000, { on_expiry: 'close' });
	const client = pgClient(options);
	client.on('error', () => {});
	await client.connect();
	await assert.rejects(client.query('select pg_sleep(60)'), { code: '57P01' });
	const outcome = await sallyport.waitForRecord(({ type }) => type === 'outcome', 'the outcome');
	assert.equal(outcome.cause, 'session_expired');
});
