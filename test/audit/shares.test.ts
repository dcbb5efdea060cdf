import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyDirectory } from '../../src/audit/verify.ts';
import { identity } from '../../src/model/agent.ts';
import type { Conn } from '../../src/model/conn.ts';
import { Life } from '../../src/model/life.ts';
import type { DecisionRecord } from '../../src/model/record.ts';
import {
	configOf,
	decision,
	denied,
	depsOf,
	type Held,
	opened,
	recorded,
	recordsOf,
	START,
	temporary,
} from './fixture.ts';

const LIMIT = 512 * 1024;
/** Of decisions: the last sixteenth of the limit is kept. */
const ROOM = LIMIT - LIMIT / 16;

const connOf = (name: string): Conn => {
	const agent = {
		id: `spiffe://example.org/agents/${name}`,
		trustDomain: 'example.org',
		path: `/agents/${name}`,
		segments: ['agents', name],
		prefixes: ['/agents', `/agents/${name}`],
	};
	return { id: name, identity: identity(agent, 'mtls'), listener: 'egress', life: new Life() };
};
const flooder = connOf('flooder');
const worker = connOf('worker');

const idOf = (conn: Conn): string => conn.identity.agent.id;
const from = (conn: Conn, record: DecisionRecord, time: number): DecisionRecord => ({ ...record, conn, time });

for (const on_failure of ['deny', 'continue'] as const) {
	test(`an agent that floods refusals fills its share; then it alone has no room (${on_failure})`, async t => {
		const directory = await temporary(t);
		const held: Held = { now: START };
		const failures: string[] = [];
		const warnings: unknown[] = [];
		const metrics = { ...depsOf().metrics, failure: (reason: string) => void failures.push(reason) };
		const log = (level: string, _: string, fields: unknown): void => void (level === 'warn' && warnings.push(fields));
		const config = configOf(directory, { limit: LIMIT, agent_share: 0.5, on_failure });
		const audit = await opened(t, config, depsOf({ metrics, log }, held));
		for (let i = 0; i < 20; i++) {
			assert.equal(await recorded(audit, from(worker, decision(`w${i}`), held.now)), undefined);
		}
		for (let i = 0; i < 3000; i++) {
			held.now += 10;
			const cause = await recorded(audit, from(flooder, denied(`f${i}`), held.now));
			if (on_failure === 'continue') assert.equal(cause, undefined);
		}
		assert.equal(audit.unwritable, undefined, 'for the others records can be written');
		const { bytes, overdrawn } = audit.status();
		assert.ok(bytes > ROOM * 0.7 && bytes < ROOM * 0.8, `half, and half of the rest: ${bytes}`);
		assert.deepEqual(failures, ['agent_share']);
		assert.deepEqual(warnings, [{ agent: idOf(flooder) }]);
		assert.deepEqual(
			overdrawn.map(({ agent }) => agent),
			[idOf(flooder)],
		);

		for (let i = 20; i < 40; i++) {
			assert.equal(await recorded(audit, from(worker, decision(`w${i}`), held.now)), undefined);
			audit.outcome({ decisionId: `w${i}`, cause: 'completed', durationMs: 1 });
		}
		held.now += 60_000;
		await audit.close();
		const records = await recordsOf(directory);
		const refusals = records.filter(({ decision_id }) => decision_id?.startsWith('f')).length;
		assert.equal(
			records.filter(({ type, decision_id }) => type === 'decision' && decision_id?.startsWith('w')).length,
			40,
		);
		const gaps = records.filter(({ type }) => type === 'gap').map(({ gap }) => gap);
		assert.ok(gaps.length >= 2 && gaps.length <= 4, `${gaps.length} records about the rest`);
		for (const gap of gaps) {
			assert.equal(gap?.reason, 'unwritable');
			assert.equal(gap?.error, 'agent_share');
			assert.equal(gap?.agent, idOf(flooder));
			assert.equal(gap?.calls, on_failure === 'deny' ? 'denied' : 'continued');
		}
		const coalesced = gaps.reduce((sum, gap) => sum + (gap?.lost?.decision ?? 0), 0);
		assert.equal(refusals + coalesced, 3000, 'each is recorded, alone or in a sum');
		assert.equal(overdrawn[0]?.refused, coalesced);
		assert.equal((await verifyDirectory(directory)).fault, undefined);
	});
}

test('several that flood leave less and less, and still something', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory, { limit: LIMIT, agent_share: 0.5 }));
	for (const name of ['a', 'b', 'c']) {
		const conn = connOf(name);
		for (let i = 0; i < 3000; i++) await recorded(audit, from(conn, denied(`${name}${i}`), START));
	}
	assert.equal(audit.unwritable, undefined);
	assert.equal(await recorded(audit, from(worker, decision('w'), START)), undefined);
	assert.equal(audit.status().overdrawn.length, 3);
});

test('when segments are deleted everybody is measured anew', async t => {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const config = configOf(directory, {
		limit: LIMIT,
		agent_share: 0.5,
		retain: 3_600_000,
		segment: { size: 16 * 1024, age: 1e9 },
	});
	const audit = await opened(t, config, depsOf({}, held));
	const flood = async (): Promise<number> => {
		for (let i = 0; ; i++) {
			if ((await recorded(audit, from(flooder, denied(`f${i}`), held.now))) !== undefined) return i;
		}
	};
	assert.ok((await flood()) > 100);
	assert.equal(await flood(), 0);
	held.now += 3_700_000;
	await audit.maintain();
	assert.deepEqual(audit.status().overdrawn, []);
	assert.ok((await flood()) > 100);
	assert.equal((await verifyDirectory(directory)).fault, undefined);
});

test('with a share of 1 one agent may fill all the room', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory, { limit: LIMIT, agent_share: 1 }));
	for (let i = 0; audit.unwritable === undefined && i < 3000; i++) {
		await recorded(audit, from(flooder, denied(`f${i}`), START));
	}
	assert.equal(audit.unwritable, 'limit');
	assert.deepEqual(audit.status().overdrawn, []);
});

test('what a refused agent can put into one record is bounded, and the record says what it lacks', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	const long = (length: number): string => 'x'.repeat(length);
	const json = (length: number): string => JSON.stringify({ x: long(length) });
	const large: Partial<DecisionRecord> = {
		call: {
			protocol: 'http',
			operation: 'GET',
			resource: `/${long(30_000)}`,
			effect: 'read',
			record: { method: 'GET', path: `/${long(30_000)}`, sql: `select ${long(30_000)}` },
		},
		input: { text: json(30_000), masks: [] },
		result: json(30_000),
		error: long(30_000),
		detail: long(30_000),
	};
	const reasons = [{ msg: long(30_000) }];
	const refusal = { id: 'f', allowed: false, cause: 'denied_by_rule', reasons, observed: false } as const;
	const before = audit.status().bytes;
	await recorded(audit, decision('f', { ...large, decision: refusal }));
	const cost = audit.status().bytes - before;
	assert.ok(cost < 25_000, `${cost} bytes`);
	await recorded(audit, decision('w', large));
	const [, refused, allowed] = await recordsOf(directory);
	assert.deepEqual(refused?.erased, [
		'/reasons',
		'/detail',
		'/error/message',
		'/call/resource',
		'/call/path',
		'/call/sql',
		'/input',
		'/result',
	]);
	assert.match(refused?.call.path ?? '', /^\/x{4000,} …$/);
	// What happened is recorded whole.
	assert.equal(allowed?.input?.x.length, 30_000);
	assert.equal(allowed?.call.path?.length, 30_001);
	const small: Partial<DecisionRecord> = { input: { text: json(7000), masks: [] } };
	await recorded(audit, decision('g', { ...small, decision: { ...refusal, id: 'g', reasons: [] } }));
	assert.equal((await recordsOf(directory)).at(-1)?.input?.x.length, 7000);
});
