import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MaskedText } from '../../src/model/call.ts';
import { target } from '../../src/model/target.ts';
import { configOf, conn, decision, opened, recorded, recordsOf, temporary } from './fixture.ts';

test('a decision holds the fields of OPA and the fixed call object', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	const id = '0198f2b0-7c7e-7000-8000-000000000001';
	assert.equal(await recorded(audit, decision(id)), undefined);
	const [first, record] = await recordsOf(directory);
	assert.equal(first?.type, 'control');
	assert.equal(first?.action, 'chain');
	const { chain, prev, ...rest } = record ?? {};
	assert.match(chain ?? '', /^[0-9a-f-]{36}$/);
	assert.match(prev ?? '', /^[0-9a-f]{64}$/);
	assert.deepEqual(rest, {
		type: 'decision',
		seq: 2,
		timestamp: '2026-03-03T10:00:00.000Z',
		instance: 'sallyport-1',
		decision_id: id,
		verdict: 'allow',
		path: 'sallyport/request',
		call: {
			agent: 'spiffe://example.org/agents/researcher',
			authentication: 'mtls',
			listener: 'egress',
			target: { name: 'crm', host: 'crm.internal', port: 443 },
			protocol: 'http',
			operation: 'GET',
			resource: '/contacts',
			effect: 'read',
			method: 'GET',
			path: '/contacts',
		},
		input: { phase: 'request' },
		result: { allow: true },
		bundles: { default: { revision: 'abc' } },
		reads: ['call.effect', 'http.path'],
		labels: { cluster: 'dev' },
		metrics: { timer_rego_query_eval_ns: 12500 },
	});
});

test('a refusal says cause, reasons, error and detail; hostile texts stay texts', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	const hostile = 'a"b\\c\n{"type":"gap"}\u0000\ud800é';
	const undeclared = target({ host: hostile, port: 1, protocol: 'tunnel', tls: false });
	await recorded(
		audit,
		decision('d1', {
			decision: {
				id: 'd1',
				allowed: false,
				cause: 'denied_by_rule',
				reasons: [{ msg: hostile, code: 'c', detail: { n: 1 } }],
				observed: false,
			},
			target: undeclared,
			call: {
				protocol: 'http',
				operation: hostile,
				resource: hostile,
				effect: 'write',
				digest: 'ab',
				record: { tool: hostile, agent: 'forged' },
			},
			detail: hostile,
			error: hostile,
		}),
	);
	const record = (await recordsOf(directory)).at(-1);
	assert.equal(record?.verdict, 'deny');
	assert.equal(record?.cause, 'denied_by_rule');
	assert.deepEqual(record?.reasons, [{ msg: hostile, code: 'c', detail: { n: 1 } }]);
	assert.deepEqual(record?.error, { code: 'denied_by_rule', message: hostile });
	assert.equal(record?.detail, hostile);
	assert.equal(record?.call.agent, conn.identity.agent.id);
	assert.equal(record?.call.tool, hostile);
	assert.match(record?.call.digest ?? '', /^sha256-salted:[0-9a-f]{64}$/);
	assert.deepEqual(record?.call.target, { host: hostile, port: 1 });
});

test('ask and observe are visible', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	await recorded(
		audit,
		decision('a', { decision: { id: 'a', allowed: false, cause: 'approval_required', reasons: [], observed: false } }),
	);
	await recorded(
		audit,
		decision('b', { decision: { id: 'b', allowed: true, cause: 'no_rule', reasons: [], observed: true } }),
	);
	const [, ask, observed] = await recordsOf(directory);
	assert.equal(ask?.verdict, 'ask');
	assert.equal(observed?.verdict, 'allow');
	assert.equal(observed?.observed, true);
	assert.equal(observed?.cause, 'no_rule');
});

const masked = (text: string, ...stretches: [string, 'secret' | 'content'][]): MaskedText => ({
	text,
	masks: stretches.map(([stretch, kind], i) => ({
		pointer: `/input/m${i}`,
		start: text.indexOf(stretch),
		end: text.indexOf(stretch) + stretch.length,
		kind,
	})),
});

test('secrets are replaced always, content by a salted digest unless bodies are full', async t => {
	const text = '{"h":{"authorization":"Bearer x"},"body":{\r\n "n": 1.0,\n"inner":"pw"}}';
	const input = masked(
		text,
		['{\r\n "n": 1.0,\n"inner":"pw"}', 'content'],
		['"Bearer x"', 'secret'],
		['"pw"', 'secret'],
	);
	for (const bodies of ['digest', 'full'] as const) {
		const directory = await temporary(t);
		const audit = await opened(t, configOf(directory, { bodies }));
		await recorded(audit, decision('d', { input }));
		await recorded(audit, decision('e', { input }));
		const [, record, again] = await recordsOf(directory);
		assert.equal(record?.input?.h.authorization, '**');
		if (bodies === 'full') {
			assert.deepEqual(record?.input?.body, { n: 1, inner: '**' });
			assert.deepEqual(record?.masked, ['/input/m1', '/input/m2']);
		} else {
			assert.match(record?.input?.body ?? '', /^sha256-salted:[0-9a-f]{64}$/);
			assert.equal(again?.input?.body, record?.input?.body);
			assert.deepEqual(record?.masked, ['/input/m1', '/input/m0']);
		}
		assert.ok(!JSON.stringify(record).includes('Bearer'));
	}
});

test('masks that do not fit erase the whole input', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	const text = '{"a":"secret","b":"other"}';
	const crooked: MaskedText[] = [
		{ text, masks: [{ pointer: '/input/a', start: 5, end: 99, kind: 'secret' }] },
		{ text, masks: [{ pointer: '/input/a', start: -1, end: 3, kind: 'secret' }] },
		{
			text,
			masks: [
				{ pointer: '/input/a', start: 5, end: 13, kind: 'secret' },
				{ pointer: '/input/b', start: 8, end: 20, kind: 'secret' },
			],
		},
	];
	for (const input of crooked) await recorded(audit, decision('d', { input }));
	const records = (await recordsOf(directory)).slice(1);
	assert.equal(records.length, 3);
	for (const record of records) {
		assert.equal(record.input, undefined);
		assert.deepEqual(record.erased, ['/input']);
	}
});

test('an input or result beyond the longest is erased, and larger than the buffer is written whole', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	const long = (length: number): string => JSON.stringify({ x: 'é'.repeat(length) });
	await recorded(audit, decision('large', { input: { text: long(1_000_000), masks: [] } }));
	await recorded(audit, decision('huge', { input: { text: long(5_000_000), masks: [] }, result: long(5_000_000) }));
	const [, large, huge] = await recordsOf(directory);
	assert.equal(large?.input?.x.length, 1_000_000);
	assert.deepEqual(huge?.erased, ['/input', '/result']);
});

test('outcomes, control records and durations', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	await recorded(audit, decision('d'));
	audit.outcome({
		decisionId: 'd',
		cause: 'upstream_reset',
		durationMs: 1.23456,
		status: 200,
		bytesSent: 1,
		bytesReceived: 2,
		rows: 3,
		attempts: 2,
		error: 'read "ECONNRESET"',
	});
	audit.control({ action: 'reload', operator: 'uid:1000', detail: { part: 'policy' } });
	audit.control({ action: 'odd', operator: 'sallyport', detail: { big: 1n } });
	await audit.flush();
	const [, , outcome, control, odd] = await recordsOf(directory);
	const { chain: _c, seq: _s, prev: _p, timestamp: _t, instance: _i, ...own } = outcome ?? {};
	assert.deepEqual(own, {
		type: 'outcome',
		decision_id: 'd',
		cause: 'upstream_reset',
		status: 200,
		bytes_sent: 1,
		bytes_received: 2,
		rows: 3,
		attempts: 2,
		duration_ms: 1.235,
		error: { code: 'upstream_reset', message: 'read "ECONNRESET"' },
	});
	assert.equal(control?.operator, 'uid:1000');
	assert.deepEqual(control?.detail, { part: 'policy' });
	assert.match(JSON.stringify(odd?.detail), /unreadable.*BigInt/);
});

test('SQL text follows audit.sql', async t => {
	const expected = { normalized: 'select ? from t', text: "select 'x' from t", digest: /^sha256-salted:/ };
	for (const sql of ['normalized', 'text', 'digest'] as const) {
		const directory = await temporary(t);
		const audit = await opened(t, configOf(directory, { sql }));
		const call = {
			protocol: 'postgres',
			operation: 'select',
			resource: 't',
			effect: 'read',
			record: { sql: "select 'x' from t" },
		} as const;
		await recorded(audit, decision('d', { call }));
		const shown = (await recordsOf(directory)).at(-1)?.call.sql;
		const want = expected[sql];
		if (typeof want === 'string') assert.equal(shown, want);
		else assert.match(shown ?? '', want);
	}
});
