import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identity } from '../../src/model/agent.ts';
import { refused } from '../../src/model/cause.ts';
import type { Conn } from '../../src/model/conn.ts';
import { Life } from '../../src/model/life.ts';
import { target } from '../../src/model/target.ts';
import type { Verdict } from '../../src/model/verdict.ts';
import { Admission, type Candidate } from '../../src/policy/admit.ts';
import { grantCall, grantSession, isCallPermit, isPermit, isSessionPermit, spend } from '../../src/policy/permit.ts';

const AGENT = {
	id: 'spiffe://example.org/agents/a',
	trustDomain: 'example.org',
	path: '/agents/a',
	segments: ['agents', 'a'],
	prefixes: ['/agents', '/agents/a'],
};
const conn = (): Conn => ({ id: 'c1', identity: identity(AGENT, 'mtls'), listener: 'egress', life: new Life() });
const CRM = target({ upstream: 'crm', host: 'crm', port: 443, protocol: 'http', tls: true });

const verdict = (fields: Partial<Verdict> & Pick<Verdict, 'verdict'>): Verdict => ({
	reasons: [],
	result: '{}',
	micros: 1,
	completed: true,
	...fields,
});
const ALLOW = verdict({ verdict: 'allow' });
const DENY = verdict({ verdict: 'deny', cause: 'denied_by_rule', reasons: [{ msg: 'no' }] });

const candidate = (fields: Partial<Candidate> = {}): Candidate => {
	const made = fields.conn ?? conn();
	return { conn: made, target: CRM, life: made.life, verdict: ALLOW, observe: false, ...fields };
};

const admission = (revoked?: string): Admission =>
	new Admission({
		revocations: {
			revoked: () => (revoked === undefined ? undefined : refused('revoked', revoked)),
			unknown: () => undefined,
		},
		clock: { now: () => 1_700_000_000_000 },
	});

/** The answer of a method that calls back before it returns. */
function answer<T>(ask: (done: (value: T) => void) => void): T {
	let value: T | undefined;
	ask(given => {
		value = given;
	});
	assert.notEqual(value, undefined);
	return value as T;
}

test('an allowing verdict yields a permit of its phase, nothing else does', () => {
	const session = answer<{ decision: { allowed: boolean }; permit?: unknown }>(done =>
		admission().session(candidate(), done),
	);
	assert.equal(session.decision.allowed, true);
	assert.equal(isSessionPermit(session.permit), true);
	assert.equal(isCallPermit(session.permit), false);
	const call = answer<{ decision: { id: string }; permit?: { decisionId: string } }>(done =>
		admission().call(candidate(), done),
	);
	assert.equal(isCallPermit(call.permit), true);
	assert.equal(call.permit?.decisionId, call.decision.id);
	for (const given of [
		DENY,
		verdict({ verdict: 'ask', cause: 'approval_required' }),
		verdict({ verdict: 'deny', cause: 'policy_error', completed: false }),
	]) {
		const refused = answer<{ decision: { allowed: boolean; cause?: string }; permit?: unknown }>(done =>
			admission().call(candidate({ verdict: given }), done),
		);
		assert.deepEqual(
			[refused.decision.allowed, refused.decision.cause, 'permit' in refused],
			[false, given.cause, false],
		);
	}
});

test('observe turns only the verdict of a completed evaluation into an allow, and says so', () => {
	const observed = (given: Verdict) =>
		answer<{ decision: { allowed: boolean; observed: boolean; cause?: string; reasons: unknown }; permit?: unknown }>(
			done => admission().call(candidate({ verdict: given, observe: true }), done),
		);
	const denied = observed(DENY);
	assert.deepEqual(
		[denied.decision.allowed, denied.decision.observed, denied.decision.cause, denied.decision.reasons],
		[true, true, 'denied_by_rule', [{ msg: 'no' }]],
	);
	assert.equal(isCallPermit(denied.permit), true);
	assert.equal(observed(verdict({ verdict: 'ask', cause: 'approval_required' })).decision.observed, true);
	assert.equal(observed(ALLOW).decision.observed, false);
	for (const cause of ['policy_error', 'phase_undefined'] as const) {
		const { decision, ...rest } = observed(verdict({ verdict: 'deny', cause, completed: false }));
		assert.deepEqual(
			[decision.allowed, decision.observed, decision.cause, 'permit' in rest],
			[false, false, cause, false],
		);
	}
});

test('a revoked agent is refused whatever policy says, and observe does not help', () => {
	for (const observe of [false, true]) {
		const { decision, ...rest } = answer<{ decision: { allowed: boolean; cause?: string } }>(done =>
			admission('stolen').call(candidate({ observe }), done),
		);
		assert.deepEqual([decision.allowed, decision.cause, 'permit' in rest], [false, 'revoked', false]);
	}
	assert.equal(answer<{ allowed: boolean }>(done => admission('stolen').answer(candidate(), done)).allowed, false);
});

test('nothing is granted on a life that has ended', () => {
	for (const [ended, cause] of [
		['revoked', 'revoked'],
		['agent_aborted', 'draining'],
	] as const) {
		const over = conn();
		over.life.end(ended);
		const { decision } = answer<{ decision: { allowed: boolean; cause?: string } }>(done =>
			admission().session(candidate({ conn: over, life: new Life() }), done),
		);
		assert.deepEqual([decision.allowed, decision.cause], [false, cause]);
	}
});

test('decision ids are UUIDs of version 7, in the order of time, and never the same', () => {
	let now = 1_700_000_000_000;
	const ticking = new Admission({ clock: { now: () => now++ } });
	const ids = Array.from({ length: 2000 }, () => ticking.refuse('no_rule').id);
	for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
	assert.equal(new Set(ids).size, ids.length);
	assert.deepEqual(ids, ids.toSorted());
	assert.equal(Number.parseInt((ids[0] ?? '').replace('-', '').slice(0, 12), 16), 1_700_000_000_000);
});

test('a call permit is spent on its first forward; one retry is attempt 2', () => {
	const permit = grantCall({ decisionId: 'd', conn: conn(), target: CRM, life: new Life() });
	assert.equal(spend(permit), 1);
	assert.equal(spend(permit), 2);
	assert.equal(spend(permit), undefined);
	const ended = grantCall({ decisionId: 'd', conn: conn(), target: CRM, life: new Life() });
	ended.life.end('revoked');
	assert.equal(spend(ended), undefined);
});

test('what only looks like a permit is none', () => {
	const fields = { decisionId: 'd', conn: conn(), target: CRM, life: new Life() };
	const real = grantSession(fields);
	assert.equal(isPermit(real), true);
	for (const forged of [
		{ ...real, kind: 'session' },
		Object.create(real),
		{ ...grantCall(fields) },
		JSON.parse('{"kind":"call"}'),
		Object.create(Object.getPrototypeOf(real)),
		null,
		undefined,
		'permit',
	]) {
		assert.equal(isPermit(forged), false);
		assert.equal(spend(forged), undefined);
	}
	assert.throws(
		() => Object.assign(real, { target: target({ host: 'evil', port: 1, protocol: 'tcp', tls: false }) }),
		TypeError,
	);
	assert.equal(spend(real as never), undefined, 'a session permit forwards no call');
});
