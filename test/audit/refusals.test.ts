import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RefusalSummary, Refusals } from '../../src/audit/refusals.ts';
import type { RefusedConnection } from '../../src/model/record.ts';
import { configOf, opened, recordsOf, temporary } from './fixture.ts';

const refusal = (more: Partial<RefusedConnection> = {}): RefusedConnection => ({
	listener: 'egress',
	cause: 'identity_missing',
	detail: 'no certificate',
	remote: '127.0.0.1',
	...more,
});

function collecting(): { refusals: Refusals; told: RefusalSummary[] } {
	const told: RefusalSummary[] = [];
	return { told, refusals: new Refusals(summary => told.push(summary)) };
}

test('the first is told at once, thousands after it in one summary per ten seconds', () => {
	const { refusals, told } = collecting();
	let now = 1_000_000;
	for (let i = 0; i < 5000; i++) {
		refusals.add(refusal(), now);
		if (i % 50 === 0) refusals.tick(now);
		now += 5;
	}
	assert.equal(told.length, 3);
	refusals.tick(now, true);
	assert.equal(
		told.reduce((sum, { count }) => sum + count, 0),
		5000,
	);
	assert.equal(told[0]?.count, 1);
	assert.equal(told[1]?.first, 1_000_005);
});

test('kinds are told apart by listener, cause, detail and network', () => {
	const { refusals, told } = collecting();
	const kinds = [
		refusal(),
		refusal({ listener: 'other' }),
		refusal({ cause: 'identity_invalid' }),
		refusal({ detail: 'two URI SANs' }),
		refusal({ remote: '10.0.0.1' }),
		refusal({ remote: '2001:db8:1:2:3::4' }),
	];
	for (const kind of kinds) for (let i = 0; i < 3; i++) refusals.add(kind, i);
	refusals.add(refusal({ remote: '2001:db8:1:2:ffff::9' }), 3);
	assert.equal(told.length, kinds.length);
	assert.equal(told.at(-1)?.remote, '2001:db8:1:2::/64');
});

test('however many addresses and claims, records and memory are bounded, and nothing is uncounted', () => {
	const { refusals, told } = collecting();
	for (let i = 0; i < 10_000; i++)
		refusals.add(refusal({ remote: `10.0.${i >> 8}.${i & 255}`, claimed: 'x'.repeat(5000) }), 1);
	assert.equal(told.length, 65);
	refusals.tick(20_000);
	assert.equal(told.length, 66);
	assert.equal(
		told.reduce((sum, { count }) => sum + count, 0),
		10_000,
	);
	assert.ok(JSON.stringify(told).length < 66 * 1000);
	refusals.tick(40_000);
	refusals.add(refusal({ remote: '10.9.9.9' }), 40_001);
	assert.equal(told.at(-1)?.remote, '10.9.9.9');
});

test('the record of a refused connection', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	audit.refusedConnection(refusal({ claimed: 'spiffe://example.org/agents/forged' }));
	audit.refusedConnection(refusal());
	await audit.close();
	const sessions = (await recordsOf(directory)).filter(({ type }) => type === 'session');
	assert.equal(sessions.length, 2);
	const { event, verdict, cause, detail, listener, remote, claimed, count } = sessions[0] ?? {};
	assert.deepEqual(
		{ event, verdict, cause, detail, listener, remote, claimed, count },
		{
			event: 'refused',
			verdict: 'deny',
			cause: 'identity_missing',
			detail: 'no certificate',
			listener: 'egress',
			remote: '127.0.0.1',
			claimed: 'spiffe://example.org/agents/forged',
			count: 1,
		},
	);
	assert.equal(sessions[1]?.count, 1);
});
