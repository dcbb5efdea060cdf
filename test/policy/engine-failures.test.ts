import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';

import { agentPolicy, loadBundle } from '../../src/policy/set.ts';
import { compileAny, folder, loaded, requestPolicy, theOpa } from './support.ts';

const MIB = 1024 * 1024;

test('rules that contradict one another end the evaluation with policy_error, as often as they are asked', async t => {
	const policy = await requestPolicy(t, 'allow := input.a\nallow := input.b\n');
	for (let round = 0; round < 3000; round++) {
		const { cause, error, completed } = policy.evaluate('request', '{"a":true,"b":false}');
		assert.equal(cause, 'policy_error');
		assert.equal(completed, false);
		assert.match(error ?? '', /conflict/);
	}
	assert.equal(policy.evaluate('request', '{"a":true,"b":true}').verdict, 'allow');
});

test('memory is used up to its limit, then the evaluation fails and the next one works', async t => {
	const root = await folder(t, {
		'request.rego':
			'package sallyport.request\n\nallow if count([[x, y, z] | some x in numbers.range(1, input.n); some y in numbers.range(1, input.n); some z in numbers.range(1, 10)]) > 0\n',
		'data.json': '{"grants":{"a":{"b":true}}}',
	});
	const bundle = await loadBundle('default', await compileAny(await theOpa(), [root]), root, {
		memory: 8 * MIB,
		builtins: BUILTINS,
	});
	const policy = agentPolicy([bundle]);
	assert.equal(policy.evaluate('request', '{"n":2}').verdict, 'allow');
	const before = bundle.memory();
	for (let round = 0; round < 3; round++) {
		const failed = policy.evaluate('request', '{"n":1000}');
		assert.equal(failed.cause, 'policy_error');
		assert.match(failed.error ?? '', /memory/);
		assert.equal(bundle.memory(), before, 'the memory that had grown is given back');
		assert.equal(policy.evaluate('request', '{"n":2}').verdict, 'allow');
	}
});

test('data is still there after a failure', async t => {
	const bundle = await loaded(t, {
		'request.rego':
			'package sallyport.request\n\nallow if data.grants[input.agent][input.target] == input.conflict\n\nallow := false if input.conflict == "boom"\nallow := true if input.conflict == "boom"\n',
		'data.json': JSON.stringify({
			grants: Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`agent-${index}`, { crm: `v${index}` }])),
		}),
	});
	const policy = agentPolicy([bundle]);
	for (const index of [0, 17, 4999]) {
		assert.equal(policy.evaluate('request', '{"conflict":"boom"}').cause, 'policy_error');
		assert.equal(
			policy.evaluate('request', JSON.stringify({ agent: `agent-${index}`, target: 'crm', conflict: `v${index}` }))
				.verdict,
			'allow',
		);
		assert.equal(
			policy.evaluate('request', JSON.stringify({ agent: `agent-${index}`, target: 'crm', conflict: 'v3' })).cause,
			'no_rule',
		);
	}
});

test('an input that has no room is refused, and one that needs memory gets it', async t => {
	const root = await folder(t, { 'request.rego': 'package sallyport.request\n\nallow if count(input.text) > 0\n' });
	const bundle = await loadBundle('default', await compileAny(await theOpa(), [root]), root, {
		memory: 16 * MIB,
		builtins: BUILTINS,
	});
	const policy = agentPolicy([bundle]);
	assert.equal(policy.evaluate('request', JSON.stringify({ text: 'x'.repeat(2 * MIB) })).verdict, 'allow');
	assert.equal(policy.evaluate('request', JSON.stringify({ text: '😀'.repeat(MIB / 4) })).verdict, 'allow');
	const failed = policy.evaluate('request', JSON.stringify({ text: 'x'.repeat(5 * MIB) }));
	assert.equal(failed.cause, 'policy_error');
	assert.match(failed.error ?? '', /too large/);
	assert.equal(policy.evaluate('request', '{"text":"x"}').verdict, 'allow');
});

test('an input that is no JSON object is policy_error, whatever the rules say about nothing', async t => {
	const policy = await requestPolicy(t, 'allow if not input.x');
	assert.equal(policy.evaluate('request', '{}').verdict, 'allow');
	for (const input of ['', '{', '{"a":1', '[]', '"x"', 'null', 'x', '{"a":01}', '{"a":"\u0001"}']) {
		assert.equal(policy.evaluate('request', input).cause, 'policy_error', JSON.stringify(input));
	}
});

test('a deeply nested input does not break the engine', async t => {
	const policy = await requestPolicy(t, 'allow if input.x');
	for (const depth of [1_000, 100_000, 400_000]) {
		const verdict = policy.evaluate('request', `{"x":${'['.repeat(depth)}${']'.repeat(depth)}}`);
		assert.ok(verdict.verdict === 'allow' || verdict.cause === 'policy_error');
		assert.equal(policy.evaluate('request', '{"x":true}').verdict, 'allow');
	}
});

test('a built-in that fails makes its expression undefined; one that passes our limits ends the evaluation', async t => {
	const policy = await requestPolicy(
		t,
		'allow if true\n\ndeny contains "x" if hex.decode(input.hex) == "a"\n\ndeny contains "y" if count(net.cidr_expand(input.cidr)) > 0\n',
	);
	assert.equal(policy.evaluate('request', '{"hex":"61"}').cause, 'denied_by_rule');
	assert.equal(policy.evaluate('request', '{"hex":"6"}').verdict, 'allow');
	assert.equal(policy.evaluate('request', '{"hex":"6","cidr":"10.0.0.0/8"}').cause, 'policy_error');
	assert.equal(policy.evaluate('request', '{"hex":"6","cidr":"10.0.0.0/30"}').cause, 'denied_by_rule');
});

test('a regular expression takes linear time', async t => {
	const policy = await requestPolicy(t, 'allow if regex.replace(input.text, input.pattern, "x") != ""');
	const start = performance.now();
	const verdict = policy.evaluate('request', JSON.stringify({ text: `${'a'.repeat(5000)}!`, pattern: '^(a+)+$' }));
	assert.equal(verdict.verdict, 'allow');
	assert.ok(performance.now() - start < 10_000);
});
