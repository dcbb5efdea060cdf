import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyDirectory } from '../../src/audit/verify.ts';
import {
	configOf,
	decision,
	depsOf,
	type Held,
	opened,
	recorded,
	recordsOf,
	START,
	segmentsOf,
	temporary,
} from './fixture.ts';

const LIMIT = 64 * 1024;

test('at the limit calls are denied, outcomes of open calls still fit, and retention makes room', async t => {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const config = configOf(directory, { limit: LIMIT, retain: 3_600_000, segment: { size: 8000, age: 1e9 } });
	const audit = await opened(t, config, depsOf({}, held));
	const allowed: string[] = [];
	let refusal: string | undefined;
	for (let i = 0; refusal === undefined && i < 1000; i++) {
		refusal = await recorded(audit, decision(`d${i}`, { time: held.now }));
		if (refusal === undefined) allowed.push(`d${i}`);
	}
	assert.equal(refusal, 'audit_unavailable');
	assert.equal(audit.unwritable, 'limit');
	assert.ok(audit.status().bytes <= LIMIT);
	assert.ok(audit.status().bytes > LIMIT * 0.9);
	for (const decisionId of allowed.slice(-5)) audit.outcome({ decisionId, cause: 'completed', durationMs: 1 });
	await audit.flush();
	assert.equal((await recordsOf(directory)).filter(({ type }) => type === 'outcome').length, 5);
	assert.ok(audit.status().bytes <= LIMIT);

	await audit.maintain();
	assert.equal(audit.unwritable, 'limit');
	held.now += 3_700_000;
	await audit.maintain();
	await audit.maintain();
	assert.equal(audit.unwritable, undefined);
	assert.equal(await recorded(audit, decision('again', { time: held.now })), undefined);
	const records = await recordsOf(directory);
	const retention = records.find(({ action }) => action === 'retention');
	const detail = retention?.detail as { segments: unknown[]; last: number } | undefined;
	assert.ok((detail?.segments.length ?? 0) > 0);
	assert.equal(records.find(({ type }) => type === 'gap')?.gap?.error, 'limit');
	const result = await verifyDirectory(directory);
	assert.equal(result.fault, undefined);
	assert.ok(result.retired > 0);
	assert.equal(result.retired, detail?.last);
});

test('refusals before identification never take the room of calls', async t => {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const audit = await opened(t, configOf(directory, { limit: LIMIT }), depsOf({}, held));
	for (let i = 0; i < 2000; i++) {
		held.now += 11_000;
		audit.refusedConnection({
			listener: 'egress',
			cause: 'identity_invalid',
			detail: `rule ${i}`,
			remote: `10.0.0.${i % 250}`,
		});
		await audit.maintain();
	}
	const { bytes, lost } = audit.status();
	assert.ok(bytes <= LIMIT * 0.9 + 1000, `${bytes}`);
	assert.ok((lost.session ?? 0) > 1000);
	assert.equal(audit.unwritable, undefined);
	assert.equal(await recorded(audit, decision('a')), undefined);
});

test('segments end by size and by age, each with a checkpoint, under names that sort', async t => {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const audit = await opened(
		t,
		configOf(directory, { segment: { size: 5000, age: 60_000 }, checkpoint: 1e9 }),
		depsOf({}, held),
	);
	for (let i = 0; i < 20; i++) await recorded(audit, decision(`d${i}`, { time: held.now }));
	const bySize = (await segmentsOf(directory)).length;
	assert.ok(bySize >= 3);
	held.now += 61_000;
	await audit.maintain();
	await recorded(audit, decision('later', { time: held.now }));
	const names = await segmentsOf(directory);
	assert.equal(names.length, bySize + 1);
	const records = await recordsOf(directory);
	for (const name of names.slice(1)) {
		const first = Number.parseInt(name, 10);
		assert.equal(records[first - 1]?.seq, first);
		assert.equal(records[first - 2]?.type, 'checkpoint');
		assert.equal(records[first - 2]?.checkpoint?.final, true);
	}
	held.now += 61_000;
	await audit.close();
	assert.equal((await verifyDirectory(directory)).fault, undefined);
});

test('only segments that are over age are deleted, oldest first', async t => {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const audit = await opened(
		t,
		configOf(directory, { retain: 10_000, segment: { size: 1e9, age: 1e9 } }),
		depsOf({}, held),
	);
	for (let i = 0; i < 5; i++) {
		await recorded(audit, decision(`d${i}`, { time: held.now }));
		audit.rotate();
		held.now += 4000;
	}
	await recorded(audit, decision('last', { time: held.now }));
	await audit.maintain();
	assert.deepEqual(
		(await recordsOf(directory)).filter(({ type }) => type === 'decision').map(({ decision_id }) => decision_id),
		['d3', 'd4', 'last'],
	);
	assert.equal((await verifyDirectory(directory)).fault, undefined);
});
