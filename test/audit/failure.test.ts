import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openAudit } from '../../src/audit/audit.ts';
import { type SpoolIo, spoolIo } from '../../src/audit/io.ts';
import { verifyDirectory } from '../../src/audit/verify.ts';
import { configOf, decision, depsOf, type Held, opened, recorded, recordsOf, START, temporary } from './fixture.ts';

interface Disk {
	readonly io: SpoolIo;
	/** Bytes that still fit; then `code`. */
	room: number;
	code: string;
	truncates: boolean;
}

function disk(): Disk {
	const fake: Disk = {
		room: Number.POSITIVE_INFINITY,
		code: 'ENOSPC',
		truncates: true,
		io: {
			...spoolIo,
			write(fd, buffer, offset, length) {
				const fits = Math.min(length, fake.room);
				if (fits <= 0) throw Object.assign(new Error('no room'), { code: fake.code });
				fake.room -= fits;
				return spoolIo.write(fd, buffer, offset, fits);
			},
			truncate(fd, length) {
				if (!fake.truncates) throw Object.assign(new Error('no'), { code: 'EIO' });
				spoolIo.truncate(fd, length);
			},
		},
	};
	return fake;
}

for (const code of ['ENOSPC', 'EIO']) {
	for (const truncates of [true, false]) {
		test(`${code} in the middle of a line${truncates ? '' : ' that cannot be cut off'}: denied, then recovered by itself`, async t => {
			const directory = await temporary(t);
			const held = disk();
			held.code = code;
			const failures: string[] = [];
			const lost: [string, number][] = [];
			const metrics = {
				...depsOf().metrics,
				failure: (reason: string) => void failures.push(reason),
				lost: (type: string, count: number) => void lost.push([type, count]),
			};
			const audit = await opened(t, configOf(directory), depsOf({ io: held.io, metrics }));
			assert.equal(await recorded(audit, decision('before')), undefined);

			held.room = 100;
			held.truncates = truncates;
			assert.equal(await recorded(audit, decision('torn')), 'audit_unavailable');
			assert.equal(audit.unwritable, code);
			assert.equal(await recorded(audit, decision('while')), 'audit_unavailable');
			audit.outcome({ decisionId: 'before', cause: 'completed', durationMs: 5 });
			await audit.maintain();
			await audit.maintain();
			// The cut is tried again first, so its error is the last that was seen.
			const last = truncates ? code : 'EIO';
			assert.equal(audit.unwritable, last);
			assert.deepEqual(failures, [code]);
			assert.deepEqual(lost, [
				['decision', 1],
				['decision', 1],
			]);
			assert.equal(audit.status().unwritable?.reason, last);

			held.room = Number.POSITIVE_INFINITY;
			held.truncates = true;
			await audit.maintain();
			assert.equal(audit.unwritable, undefined);
			assert.equal(await recorded(audit, decision('after')), undefined);
			const records = await recordsOf(directory);
			assert.deepEqual(
				records.map(({ type, decision_id }) => `${type} ${decision_id ?? ''}`.trim()),
				['control', 'decision before', 'gap', 'outcome before', 'decision after'],
			);
			const gap = records[2]?.gap;
			assert.equal(gap?.error, last);
			assert.equal(gap?.calls, 'denied');
			assert.deepEqual(gap?.lost, { decision: 2 });
			assert.equal((await verifyDirectory(directory)).fault, undefined);
		});
	}
}

test('on_failure: continue lets calls go on, counted in a gap record', async t => {
	const directory = await temporary(t);
	const held = disk();
	const audit = await opened(t, configOf(directory, { on_failure: 'continue' }), depsOf({ io: held.io }));
	held.room = 0;
	for (let i = 0; i < 5; i++) assert.equal(await recorded(audit, decision(`d${i}`)), undefined);
	assert.equal(audit.unwritable, 'ENOSPC');
	held.room = Number.POSITIVE_INFINITY;
	await audit.maintain();
	const gap = (await recordsOf(directory)).find(({ type }) => type === 'gap')?.gap;
	assert.equal(gap?.calls, 'continued');
	assert.deepEqual(gap?.lost, { decision: 5 });
	assert.deepEqual(audit.status().lost, { decision: 5 });
});

test('what is kept during an outage is bounded, and counted beyond that', async t => {
	const directory = await temporary(t);
	const held = disk();
	const audit = await opened(t, configOf(directory), depsOf({ io: held.io }));
	held.room = 0;
	for (let i = 0; i < 17_000; i++) audit.outcome({ decisionId: `d${i}`, cause: 'completed', durationMs: 1 });
	await audit.flush();
	for (let i = 0; i < 17_000; i++) audit.outcome({ decisionId: `e${i}`, cause: 'completed', durationMs: 1 });
	held.room = Number.POSITIVE_INFINITY;
	await audit.maintain();
	const records = await recordsOf(directory);
	const kept = records.filter(({ type }) => type === 'outcome').length;
	const lost = records.find(({ type }) => type === 'gap')?.gap?.lost?.outcome;
	assert.equal(kept, 16_384);
	assert.equal(kept + (lost ?? 0), 34_000);
	assert.equal((await verifyDirectory(directory)).fault, undefined);
});

test('what must not be lost of a write that failed comes later as it was; a call that it opened is not open', async t => {
	const directory = await temporary(t);
	const held = disk();
	const clock: Held = { now: START };
	const audit = await opened(t, configOf(directory), depsOf({ io: held.io }, clock));
	assert.equal(await recorded(audit, decision('before')), undefined);
	held.room = 300;
	clock.now += 1234;
	const lost = recorded(audit, decision('lost'));
	audit.outcome({ decisionId: 'before', cause: 'upstream_reset', durationMs: 5, error: 'say "é\\" \u0000\n' });
	audit.control({ action: 'reload', operator: 'uid:1', detail: { instance: 'x","instance":"sallyport-1"' } });
	assert.equal(audit.status().open, 1);
	assert.equal(await lost, 'audit_unavailable');
	assert.equal(audit.status().open, 0);
	assert.deepEqual(audit.status().lost, { decision: 1 });

	held.room = Number.POSITIVE_INFINITY;
	clock.now += 60_000;
	await audit.maintain();
	const records = (await recordsOf(directory)).filter(({ type }) => type !== 'checkpoint');
	assert.deepEqual(
		records.map(({ type, decision_id, action }) => `${type} ${decision_id ?? action ?? ''}`.trim()),
		['control chain', 'decision before', 'gap', 'outcome before', 'control reload'],
	);
	const [, , , outcome, control] = records;
	assert.deepEqual(outcome?.error, { code: 'upstream_reset', message: 'say "é\\" \u0000\n' });
	assert.deepEqual(control?.detail, { instance: 'x","instance":"sallyport-1"' });
	for (const record of [outcome, control]) assert.equal(record?.timestamp, '2026-03-03T10:00:01.234Z');
	assert.equal((await verifyDirectory(directory)).fault, undefined);
});

test('a decision that cannot be put into words is denied', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	const reasons = [{ msg: 'x', detail: 1n }];
	const bad = decision('d', { decision: { id: 'd', allowed: true, reasons, observed: false } });
	assert.equal(await recorded(audit, bad), 'audit_unavailable');
	assert.equal(await recorded(audit, decision('e')), undefined);
	assert.equal(audit.unwritable, undefined);
});

test('fsync: nobody is told before it, a group shares one, and a failure is an outage', async t => {
	const directory = await temporary(t);
	const syncs: ((error: Error | null) => void)[] = [];
	const io: SpoolIo = { ...spoolIo, sync: (_, done) => void syncs.push(done) };
	const audit = await openAudit(
		configOf(directory, { durability: 'fsync', segment: { size: 100_000, age: 1e9 } }),
		depsOf({ io }),
	);
	syncs.shift()?.(null);
	const told: string[] = [];
	const go = (id: string): Promise<unknown> => recorded(audit, decision(id)).then(cause => told.push(`${id} ${cause}`));
	const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
	const first = go('a');
	await turn();
	const second = go('b');
	const third = go('c');
	await turn();
	await turn();
	assert.deepEqual(told, []);
	assert.equal(syncs.length, 1);
	syncs.shift()?.(null);
	await first;
	assert.deepEqual(told, ['a undefined']);
	assert.equal(syncs.length, 1);
	syncs.shift()?.(null);
	await Promise.all([second, third]);

	const fourth = go('d');
	await turn();
	syncs.shift()?.(Object.assign(new Error('bad disk'), { code: 'EIO' }));
	await fourth;
	assert.deepEqual(told.at(-1), 'd audit_unavailable');
	assert.equal(audit.unwritable, 'EIO');
	await audit.maintain();
	assert.equal(audit.unwritable, undefined);
	while (syncs.length > 0) syncs.shift()?.(null);
	const closing = audit.close(0);
	const drain = setInterval(() => syncs.shift()?.(null), 5);
	await closing;
	clearInterval(drain);
	const records = await recordsOf(directory);
	// The call that was refused although its decision is on the disk, perhaps, has an outcome that says so.
	assert.equal(
		records.find(({ type, decision_id }) => type === 'outcome' && decision_id === 'd')?.cause,
		'audit_unavailable',
	);
	assert.equal((await verifyDirectory(directory)).fault, undefined);
});

test('fsync for real, over the ends of segments', async t => {
	const directory = await temporary(t);
	const audit = await openAudit(
		configOf(directory, { durability: 'fsync', segment: { size: 4000, age: 1e9 } }),
		depsOf(),
	);
	for (let i = 0; i < 50; i++) assert.equal(await recorded(audit, decision(`d${i}`)), undefined);
	await audit.close();
	const result = await verifyDirectory(directory);
	assert.equal(result.fault, undefined);
	assert.equal(result.openCount, 50);
});
