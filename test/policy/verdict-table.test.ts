import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Verdict } from '../../src/model/verdict.ts';
import { agentPolicy } from '../../src/policy/set.ts';
import { loaded, requestPolicy } from './support.ts';

type Row = readonly [what: string, rego: string, verdict: Verdict['verdict'], cause: Verdict['cause']];

const ALLOW = 'allow if input.a\n';

/** The verdict table, in its order; the input is `{"a": 1}`. */
const ROWS: readonly Row[] = [
	['allow', ALLOW, 'allow', undefined],
	[
		'allow, empty deny and ask',
		`${ALLOW}deny contains "x" if input.b\nask contains "x" if input.b\n`,
		'allow',
		undefined,
	],
	['nothing allows', 'allow if input.b', 'deny', 'no_rule'],
	['default allow false', 'default allow := false\nallow if input.b', 'deny', 'no_rule'],
	['a package without rules', '', 'deny', 'no_rule'],
	['only deny, and it is empty', 'deny contains "x" if input.b', 'deny', 'no_rule'],
	['deny beats allow', `${ALLOW}deny contains "x"\n`, 'deny', 'denied_by_rule'],
	['deny beats ask', `${ALLOW}deny contains "x"\nask contains "y"\n`, 'deny', 'denied_by_rule'],
	['deny without allow', 'deny contains "x"', 'deny', 'denied_by_rule'],
	['ask', `${ALLOW}ask contains "y"\n`, 'ask', 'approval_required'],
	['ask does not stand in for allow', 'ask contains "y"', 'deny', 'no_rule'],
	['allow is a string', 'allow := "yes"', 'deny', 'policy_error'],
	['allow is a number', 'allow := 1', 'deny', 'policy_error'],
	['allow is null', 'allow := null', 'deny', 'policy_error'],
	['allow is an object', 'allow := {"allowed": true}', 'deny', 'policy_error'],
	['allow is a set', 'allow contains "x"', 'deny', 'policy_error'],
	['allow is a list', 'allow := [true]', 'deny', 'policy_error'],
	['deny is a string', `${ALLOW}deny := "no"\n`, 'deny', 'policy_error'],
	['deny is an empty string', `${ALLOW}deny := ""\n`, 'deny', 'policy_error'],
	['deny is true', `${ALLOW}deny if input.a\n`, 'deny', 'policy_error'],
	['deny is false', `${ALLOW}deny := false\n`, 'deny', 'policy_error'],
	['deny is a list', `${ALLOW}deny := ["no"]\n`, 'deny', 'policy_error'],
	['deny is an empty list', `${ALLOW}deny := []\n`, 'deny', 'policy_error'],
	['deny is an object', `${ALLOW}deny := {"no": true}\n`, 'deny', 'policy_error'],
	['deny is an object by parts', `${ALLOW}deny[x] := 1 if some x in ["a"]\n`, 'deny', 'policy_error'],
	['deny is null', `${ALLOW}deny := null\n`, 'deny', 'policy_error'],
	['deny is a set by one rule', `${ALLOW}deny := {"no"}\n`, 'deny', 'denied_by_rule'],
	['deny is an empty set by one rule', `${ALLOW}deny := set()\n`, 'allow', undefined],
	['deny is a set by one rule that is undefined', `${ALLOW}deny := {"no"} if input.b\n`, 'allow', undefined],
	['ask is a string', `${ALLOW}ask := "please"\n`, 'deny', 'policy_error'],
	['ask is a list', `${ALLOW}ask := []\n`, 'deny', 'policy_error'],
	['a reason is a number', `${ALLOW}deny contains 1\n`, 'deny', 'policy_error'],
	['a reason is an object without msg', `${ALLOW}deny contains {"message": "x"}\n`, 'deny', 'policy_error'],
	['a reason has a code that is no string', `${ALLOW}ask contains {"msg": "x", "code": 1}\n`, 'deny', 'policy_error'],
	['rules contradict one another', 'allow := true\nallow := false if input.a\n', 'deny', 'policy_error'],
];

for (const [what, rego, verdict, cause] of ROWS) {
	test(what, async t => {
		const policy = await requestPolicy(t, rego);
		const given = policy.evaluate('request', '{"a":1}');
		assert.deepEqual({ verdict: given.verdict, cause: given.cause }, { verdict, cause });
		assert.equal(given.completed, cause !== 'policy_error');
		assert.equal(given.error !== undefined, cause === 'policy_error');
	});
}

test('a phase that nobody defines is refused, but for an answer', async t => {
	const policy = await requestPolicy(t, ALLOW);
	const connect = policy.evaluate('connect', '{"a":1}');
	assert.deepEqual([connect.verdict, connect.cause, connect.completed], ['deny', 'phase_undefined', false]);
	const response = policy.evaluate('response', '{"a":1}');
	assert.deepEqual([response.verdict, response.cause], ['allow', undefined]);
	assert.equal(policy.defines('request'), true);
	assert.equal(policy.defines('connect'), false);
});

test('an answer that is judged can be refused', async t => {
	const policy = agentPolicy([
		await loaded(t, { 'response.rego': 'package sallyport.response\n\nallow if input.http.status < 400\n' }),
	]);
	assert.equal(policy.evaluate('response', '{"http":{"status":200}}').verdict, 'allow');
	assert.equal(policy.evaluate('response', '{"http":{"status":500}}').cause, 'no_rule');
});

test('reasons are given as they were written', async t => {
	const policy = await requestPolicy(
		t,
		'deny contains "plain"\ndeny contains {"msg": "with code", "code": "c", "detail": {"n": [1]}}\n',
	);
	const { reasons, result } = policy.evaluate('request', '{}');
	assert.deepEqual(new Set(reasons), new Set([{ msg: 'plain' }, { msg: 'with code', code: 'c', detail: { n: [1] } }]));
	assert.ok(Array.isArray((JSON.parse(result) as { deny: unknown }).deny));
});

test('the time of the evaluation is the time of the input', async t => {
	const policy = await requestPolicy(t, 'allow if time.now_ns() == time.parse_rfc3339_ns(input.expected)');
	const input = (time: unknown, expected: string): string => JSON.stringify({ time, expected });
	assert.equal(
		policy.evaluate('request', input('2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05.678Z')).verdict,
		'allow',
	);
	assert.equal(
		policy.evaluate('request', `{"expected":"2026-01-02T03:04:05.678901234Z","time":"2026-01-02T03:04:05.678901234Z"}`)
			.verdict,
		'allow',
	);
	assert.equal(
		policy.evaluate('request', input('2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05.679Z')).cause,
		'no_rule',
	);
	assert.equal(
		policy.evaluate('request', '{"expected":"2026-01-02T03:04:05Z","a":{"time":"2026-01-02T03:04:05Z"}}').cause,
		'no_rule',
	);
	assert.deepEqual(policy.reads('request').paths, ['expected', 'time']);
});
