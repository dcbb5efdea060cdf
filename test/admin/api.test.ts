import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ReloadOutcome } from '../../src/admin/api.ts';
import { Control } from '../../src/admin/control.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { ask, memory, nobodyRevoked } from './fixture.ts';

async function open(
	t: TestContext,
	reload: () => Promise<ReloadOutcome> = async () => ({ problems: [], restart: [] }),
) {
	const path = makeWorkspace(t).path('control.sock');
	const seen = memory();
	const control = new Control({
		...nobodyRevoked,
		config: { socket: path },
		identity: {
			problem: () => undefined,
			serverTlsOptions: () => ({}),
			secureContextOptions: () => ({}),
			identifyTls: () => ({ cause: 'identity_missing' }),
		},
		recorder: seen.recorder,
		status: () => ({ ready: true }),
		reload,
	});
	t.after(() => control.close());
	await control.listen();
	const request = (
		method: string,
		target: string,
		more: { readonly headers?: Record<string, string>; readonly body?: string } = {},
	) => ask({ socketPath: path, method, path: target, ...more });
	return { request, ...seen };
}

test('a reload that was taken: 200, and two records of it', async t => {
	const { request, control } = await open(t, async () => ({ problems: [], restart: ['audit'] }));
	const answer = await request('POST', '/v1/reload');
	assert.equal(answer.status, 200);
	assert.deepEqual(answer.json(), { taken: true, restart: ['audit'] });
	assert.deepEqual(
		control.map(({ action }) => action),
		['reload', 'reload_result'],
	);
	assert.deepEqual(control[1]?.detail, { taken: true, problems: 0, restart: ['audit'] });
	assert.ok(control.every(({ operator }) => operator === `uid:${process.geteuid?.()}`));
});

test('a reload that was not taken: 422 with every problem', async t => {
	const problems = [
		{ line: 12, column: 3, path: 'policy.mode', message: 'expected "enforce" or "observe"' },
		{ part: 'identity', message: 'key: it does not belong to the certificate' },
	];
	const { request, control } = await open(t, async () => ({ problems, restart: [] }));
	const answer = await request('POST', '/v1/reload');
	assert.equal(answer.status, 422);
	assert.equal(answer.type, 'application/problem+json');
	assert.deepEqual(answer.json().problems, problems);
	assert.equal(answer.json().taken, false);
	assert.equal(control[1]?.detail?.taken, false);
});

test('the record of a reload is there before the reload begins', async t => {
	let before = -1;
	const opened = await open(t, async () => {
		before = opened.control.length;
		return { problems: [], restart: [] };
	});
	await opened.request('POST', '/v1/reload');
	assert.equal(before, 1);
});

test('a reload that fails is an answer and a record, and the next works', async t => {
	let first = true;
	const { request, control } = await open(t, async () => {
		if (!first) return { problems: [], restart: [] };
		first = false;
		throw new Error('the disk is gone');
	});
	const failed = await request('POST', '/v1/reload');
	assert.equal(failed.status, 500);
	assert.equal(failed.json().detail, 'the disk is gone');
	assert.deepEqual(control[1]?.detail, { taken: false, error: 'the disk is gone' });
	assert.equal((await request('POST', '/v1/reload')).status, 200);
});

test('reloads run one after the other', async t => {
	let running = 0;
	let most = 0;
	const { request } = await open(t, async () => {
		running++;
		most = Math.max(most, running);
		await new Promise(resolve => setImmediate(resolve));
		running--;
		return { problems: [], restart: [] };
	});
	const answers = await Promise.all(Array.from({ length: 8 }, () => request('POST', '/v1/reload')));
	assert.ok(answers.every(({ status }) => status === 200));
	assert.equal(most, 1);
});

test('what is no use of the API leaves no record of one', async t => {
	const { request, control } = await open(t);
	assert.equal((await request('GET', '/')).status, 404);
	assert.equal((await request('GET', '/v2/status')).status, 404);
	const wrong = await request('GET', '/v1/reload');
	assert.equal(wrong.status, 405);
	assert.equal(wrong.headers.allow, 'POST');
	assert.equal((await request('POST', '/v1/status')).status, 405);
	assert.equal((await request('POST', '/v1/reload', { body: 'x', headers: { 'content-length': '1' } })).status, 400);
	assert.equal((await request('GET', '/v1/status?x=1')).status, 400);
	assert.deepEqual(control, []);
});

test("a web page cannot act in an operator's name", async t => {
	const { request, control } = await open(t);
	assert.equal((await request('POST', '/v1/reload', { headers: { origin: 'https://evil.test' } })).status, 403);
	assert.deepEqual(control, []);
});

test('every answer is JSON, and its connection ends with it', async t => {
	const { request } = await open(t);
	for (const [method, path] of [
		['GET', '/v1/status'],
		['POST', '/v1/reload'],
		['GET', '/nowhere'],
	] as const) {
		const answer = await request(method, path);
		assert.match(answer.type, /^application\/(problem\+)?json$/);
		assert.equal(typeof answer.json(), 'object');
		assert.equal(answer.headers.connection, 'close');
		assert.equal(answer.headers['cache-control'], 'no-store');
	}
});
