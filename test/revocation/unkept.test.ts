import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRevocations } from '../../src/identity/revocation/revocations.ts';
import type { State } from '../../src/model/ports.ts';
import type { ControlRecord } from '../../src/model/record.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { until } from '../support/until.ts';

const NOW = 1_700_000_000_000;
const entry = {
	kind: 'id',
	what: 'spiffe://example.org/agents/a',
	reason: 'r',
	operator: 'uid:0',
	since: NOW,
} as const;
const who = { agent: { id: entry.what } };

/** A state that fails on request. */
const failing = (broken: { now: boolean }): State => ({
	list: async () => [],
	write: async () => {
		if (broken.now) throw new Error('state.db: there is no room on the disk');
		return true;
	},
});

test('what cannot be kept is in force all the same, and says so; what cannot be dropped stays', async t => {
	const broken = { now: true };
	const metrics = createMetrics('test');
	const counted = async (): Promise<string | undefined> =>
		/^sallyport_revocations_unkept (\d+)$/m.exec(await metrics.registry.metrics())?.[1];
	const controls: ControlRecord[] = [];
	const revocations = await openRevocations(undefined, {
		state: failing(broken),
		clock: { now: () => NOW },
		recorder: { control: record => controls.push(record) },
		metrics,
		log: createLog('silent'),
	});
	t.after(() => revocations.close());
	let enforced = 0;
	revocations.enforceBy(() => {
		enforced++;
		assert.equal(revocations.revoked(who)?.cause, 'revoked', 'in force before anything is ended');
		return 3;
	});
	const { connections, replaced, unkept } = await revocations.revoke(entry, performance.now());
	assert.deepEqual([connections, replaced, enforced], [3, false, 1]);
	assert.match(unkept ?? '', /no room on the disk/);
	assert.equal(await counted(), '1');
	await assert.rejects(revocations.undo(entry.what), /no room on the disk/);
	assert.equal(revocations.revoked(who)?.cause, 'revoked');
	broken.now = false;
	assert.equal((await revocations.revoke(entry, performance.now())).replaced, true);
	assert.equal(await counted(), '0', 'it is kept now');
	assert.deepEqual(await revocations.undo(entry.what), { revocation: entry });
	assert.equal(revocations.revoked(who), undefined);
	assert.deepEqual(await revocations.undo(entry.what), { missing: 'It is not revoked.' });
});

test('what fails while it ends connections does not keep the revocation from being in force and kept', async t => {
	const revocations = await openRevocations(undefined, {
		state: failing({ now: false }),
		clock: { now: () => NOW },
		recorder: { control: () => {} },
		metrics: createMetrics('test'),
		log: createLog('silent'),
	});
	t.after(() => revocations.close());
	revocations.enforceBy(() => {
		throw new Error('an ender failed');
	});
	const { unkept } = await revocations.revoke(entry, performance.now());
	assert.equal(unkept, undefined);
	assert.equal(revocations.revoked(who)?.cause, 'revoked');
});

test('what could not be kept is tried again, and what was given back meanwhile is not', async t => {
	const broken = { now: true };
	let now = NOW;
	const held = new Map<string, string | undefined>();
	const { promise: slow, resolve: goOn } = Promise.withResolvers<void>();
	const metrics = createMetrics('test');
	const counted = async (): Promise<string | undefined> =>
		/^sallyport_revocations_unkept (\d+)$/m.exec(await metrics.registry.metrics())?.[1];
	const revocations = await openRevocations(undefined, {
		state: {
			list: async () => [],
			write: async (_space, entries) => {
				if (broken.now) throw new Error('state.db: there is no room on the disk');
				for (const { key, value } of entries) held.set(key, value);
				if (entries.some(({ value }) => value === undefined)) await slow;
				return true;
			},
		},
		clock: { now: () => now },
		recorder: { control: () => {} },
		metrics,
		log: createLog('silent'),
	});
	t.after(() => revocations.close());
	const other = { ...entry, what: 'spiffe://example.org/agents/b' };
	for (const each of [entry, other]) await revocations.revoke(each, performance.now());
	assert.equal(await counted(), '2');
	broken.now = false;
	const undone = revocations.undo(other.what);
	now += 11_000;
	await until(async () => (await counted()) === '0', 'all that is in force is kept');
	goOn();
	await undone;
	assert.deepEqual([...held.keys()].sort(), [entry.what, other.what]);
	assert.match(held.get(entry.what) ?? '', /agents\/a/);
	assert.equal(held.get(other.what), undefined);
});
