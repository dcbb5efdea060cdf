import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Verdict } from '../../src/model/verdict.ts';
import { agentPolicy, policySet } from '../../src/policy/set.ts';
import { loaded } from './support.ts';

const request = (t: TestContext, name: string, rego: string) =>
	loaded(t, { 'request.rego': `package sallyport.request\n\n${rego}\n` }, name);

test('any deny denies, every one must allow, and any ask asks', async t => {
	const allow = await request(t, 'allow', 'allow if true');
	const silent = await request(t, 'silent', 'allow if input.labels.never');
	const deny = await request(t, 'deny', 'allow if true\ndeny contains "no"');
	const ask = await request(t, 'ask', 'allow if true\nask contains "please"');
	const broken = await request(t, 'broken', 'allow := "yes"');
	const cases: readonly (readonly [
		bundles: readonly (typeof allow)[],
		verdict: Verdict['verdict'],
		cause: Verdict['cause'],
	])[] = [
		[[allow, allow], 'allow', undefined],
		[[allow, silent], 'deny', 'no_rule'],
		[[silent, allow], 'deny', 'no_rule'],
		[[allow, deny], 'deny', 'denied_by_rule'],
		[[silent, deny], 'deny', 'denied_by_rule'],
		[[allow, ask], 'ask', 'approval_required'],
		[[ask, silent], 'deny', 'no_rule'],
		[[ask, deny], 'deny', 'denied_by_rule'],
		[[allow, broken], 'deny', 'policy_error'],
		[[deny, broken], 'deny', 'policy_error'],
	];
	for (const [bundles, verdict, cause] of cases) {
		const given = agentPolicy(bundles).evaluate('request', '{}');
		assert.deepEqual([given.verdict, given.cause], [verdict, cause], bundles.map(bundle => bundle.name).join(' '));
	}
	const both = agentPolicy([deny, ask]).evaluate('request', '{}');
	assert.deepEqual(JSON.parse(both.result), { allow: true, deny: [{ msg: 'no' }], ask: [{ msg: 'please' }] });
	assert.match(agentPolicy([allow, broken]).evaluate('request', '{}').error ?? '', /^broken: allow is/);
});

test('a bundle without the phase has no say in it, but a package without rules does', async t => {
	const allow = await request(t, 'allow', 'allow if true');
	const connect = await loaded(t, { 'connect.rego': 'package sallyport.connect\n\nallow if true\n' }, 'connect');
	const empty = await request(t, 'empty', '');
	assert.equal(agentPolicy([allow, connect]).evaluate('request', '{}').verdict, 'allow');
	assert.equal(agentPolicy([allow, connect]).evaluate('connect', '{}').verdict, 'allow');
	assert.equal(agentPolicy([allow, empty]).evaluate('request', '{}').cause, 'no_rule');
	assert.equal(agentPolicy([allow, empty]).evaluate('connect', '{}').cause, 'phase_undefined');
});

test('what is read is the union, and everything as soon as one does not say', async t => {
	const one = await request(t, 'one', 'allow if input.http.path == "/"');
	const two = await request(t, 'two', 'allow if input.agent.path == "/"');
	assert.deepEqual(agentPolicy([one, two]).reads('request').paths, ['agent.path', 'http.path']);
	assert.deepEqual(agentPolicy([one, two]).reads('connect').paths, []);
	const unknown = {
		...two,
		packages: new Map([...two.packages].map(([path, entry]) => [path, { ...entry, reads: undefined }])),
	};
	assert.equal(agentPolicy([one, unknown]).reads('request').paths, undefined);
	assert.equal(agentPolicy([one, unknown]).reads('request').has('http', 'body'), true);
});

test('bundles apply to the agents they name', async t => {
	const platform = await request(t, 'platform', 'allow if true');
	const team = await request(t, 'team', 'allow if input.team');
	const set = policySet([
		{ bundle: platform, appliesTo: id => id.startsWith('spiffe://example.org/') },
		{ bundle: team, appliesTo: id => id.startsWith('spiffe://example.org/team/') },
	]);
	const names = (id: string) => set.forAgent(id)?.bundles.map(bundle => bundle.name);
	assert.deepEqual(names('spiffe://example.org/a'), ['platform']);
	assert.deepEqual(names('spiffe://example.org/team/a'), ['platform', 'team']);
	assert.equal(set.forAgent('spiffe://other.org/a'), undefined);
	assert.equal(set.forAgent('spiffe://other.org/a'), undefined);
	assert.equal(
		set.forAgent('spiffe://example.org/a'),
		set.forAgent('spiffe://example.org/b'),
		'agents with the same bundles share what is prepared for them',
	);
	assert.equal(set.forAgent('spiffe://example.org/team/a')?.evaluate('request', '{}').cause, 'no_rule');
	assert.notEqual(set.revision, policySet([{ bundle: platform, appliesTo: () => true }]).revision);
});

test('agents are forgotten when there are too many of them', async t => {
	const platform = await request(t, 'platform', 'allow if true');
	let asked = 0;
	const appliesTo = (): boolean => {
		asked++;
		return true;
	};
	const set = policySet([{ bundle: platform, appliesTo }]);
	set.forAgent('spiffe://example.org/0');
	set.forAgent('spiffe://example.org/0');
	assert.equal(asked, 1, 'the second time it is remembered');
	for (let index = 1; index <= 10_000; index++) set.forAgent(`spiffe://example.org/${index}`);
	asked = 0;
	set.forAgent('spiffe://example.org/0');
	assert.equal(asked, 1, 'it was forgotten');
});
