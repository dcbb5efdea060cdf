import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AuditConfig } from '../../src/config/schema.ts';
import { configOf, decision, depsOf, opened, recorded, recordsOf, temporary } from '../audit/fixture.ts';
import { until } from '../audit/until.ts';
import { type Central, startCentral } from './central.ts';

async function stage(t: TestContext, central: Central, more: Partial<AuditConfig> = {}) {
	const directory = await temporary(t);
	const http = {
		url: central.url,
		present_svid: false,
		batch: { bytes: 32 * 1024, age: 1000 },
		rate: 2 ** 30,
		timeout: 5000,
	};
	const config = configOf(directory, { sinks: [{ http }], commit: { sink: 'sink', timeout: 300 }, ...more });
	const failures: string[] = [];
	const metrics = { ...depsOf().metrics, failure: (reason: string) => void failures.push(reason) };
	const audit = await opened(t, config, depsOf({ metrics }));
	return { directory, audit, failures, ask: (id: string) => recorded(audit, decision(id)) };
}

const holds = (central: Central, id: string): boolean =>
	central.lines().some(line => line.includes(`"decision_id":"${id}"`));

for (const durability of ['write', 'fsync'] as const) {
	test(`${durability}: a call goes on when the sink has its decision, and those that come meanwhile share the next one`, async t => {
		const central = await startCentral(t);
		const { ask } = await stage(t, central, { durability });
		assert.equal(await ask('first'), undefined);
		assert.ok(holds(central, 'first'), 'it is there before the call goes on');
		const before = central.uploads.length;
		const ids = Array.from({ length: 200 }, (_, at) => `together-${at}`);
		assert.deepEqual(
			await Promise.all(ids.map(ask)),
			ids.map(() => undefined),
		);
		assert.ok(ids.every(id => holds(central, id)));
		assert.ok(
			central.uploads.length - before <= 10,
			`${central.uploads.length - before} uploads for ${ids.length} calls`,
		);
	});
}

test('a sink that is too late: audit_unavailable, then refused at once, until it has caught up', async t => {
	const central = await startCentral(t);
	const { ask, audit, failures, directory } = await stage(t, central);
	assert.equal(await ask('before'), undefined);
	central.answer(() => ({ status: 503 }));
	assert.equal(await ask('late'), 'audit_unavailable');
	assert.equal(audit.unwritable, 'sink');
	assert.deepEqual(failures, ['sink']);
	const began = performance.now();
	assert.equal(await ask('while'), 'audit_unavailable');
	assert.ok(performance.now() - began < 250, 'nobody waits for what is known');
	await audit.maintain();
	assert.equal(audit.unwritable, 'sink', 'it has not caught up');
	central.answer(() => ({ status: 200 }));
	await until(() => holds(central, 'late'));
	await until(async () => {
		await audit.maintain();
		return audit.unwritable === undefined;
	});
	assert.equal(await ask('after'), undefined);
	assert.ok(holds(central, 'after'));
	const records = await recordsOf(directory);
	// The call of the record that was written, but not taken in time, was refused: so says its outcome.
	assert.deepEqual(
		records.filter(({ type, decision_id: id }) => type === 'outcome' && id === 'late').map(({ cause }) => cause),
		['audit_unavailable'],
	);
	assert.equal(records.find(({ type }) => type === 'gap')?.gap?.error, 'sink');
	assert.ok(!records.some(({ decision_id: id }) => id === 'while'));
});

test('on_failure: continue: the first ones wait in vain, the others go on at once, and all are in the chain', async t => {
	const central = await startCentral(t);
	central.answer(() => ({ status: 503 }));
	const { ask, directory, failures, audit } = await stage(t, central, { on_failure: 'continue' });
	assert.equal(await ask('late'), undefined);
	const began = performance.now();
	assert.equal(await ask('while'), undefined);
	assert.ok(performance.now() - began < 250);
	assert.deepEqual(failures, ['sink']);
	assert.equal(audit.unwritable, undefined);
	central.answer(() => ({ status: 200 }));
	await until(() => audit.status().sinks[0]?.behind === 0);
	assert.equal(await ask('after'), undefined);
	assert.ok(holds(central, 'after'), 'it is waited for again');
	const ids = (await recordsOf(directory)).flatMap(({ decision_id: id }) => id ?? []);
	assert.deepEqual(ids, ['late', 'while', 'after']);
});

test('a call whose record the sink refuses for good is refused, alone', async t => {
	const central = await startCentral(t);
	central.answer(lines => ({ status: lines.some(line => line.includes('poison')) ? 400 : 200 }));
	const { ask, audit, directory } = await stage(t, central);
	assert.equal(await ask('before'), undefined);
	const poison = ask('poison');
	await until(async () => (await recordsOf(directory)).length > 2);
	const after = ask('after');
	assert.equal(await poison, 'audit_unavailable');
	assert.equal(await after, undefined);
	assert.equal(audit.unwritable, undefined);
});

test('the end does not leave anybody waiting', async t => {
	const central = await startCentral(t);
	central.answer(() => ({ status: undefined }));
	const { ask, audit } = await stage(t, central, { commit: { sink: 'sink', timeout: 60_000 } });
	const waiting = ask('a');
	await until(() => central.uploads.length > 0);
	await audit.close(50);
	assert.equal(await waiting, 'audit_unavailable');
});
