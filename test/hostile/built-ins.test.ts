import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestPolicy } from '../policy/support.ts';

/** What an agent may send as a body. */
const MOST = 1024 * 1024;
const many = (count: number, one: (index: number) => string): string[] =>
	Array.from({ length: count }, (_, index) => one(index));

const judge = async (t: Parameters<typeof requestPolicy>[0], rego: string, body: unknown) => {
	const input = JSON.stringify({ body });
	assert.ok(input.length < MOST);
	return (await requestPolicy(t, rego)).evaluate('request', input);
};

test('whether items are unique takes no time that grows with the square of them', { timeout: 20_000 }, async t => {
	const rego = 'allow if json.match_schema(input.body, {"uniqueItems": true})[0]';
	const items = many(130_000, index => index.toString(36));
	assert.equal((await judge(t, rego, items)).verdict, 'allow');
	assert.equal((await judge(t, rego, [...items, '0'])).cause, 'no_rule');
});

test('whether a set is part of another takes no time that grows with the product of both', {
	timeout: 60_000,
}, async t => {
	const rego = `allow if object.subset({x | some x in input.body.a}, {x | some x in input.body.b})`;
	const items = many(25_000, index => index.toString(36));
	const { verdict, error } = await judge(t, rego, { a: items, b: items.toReversed() });
	assert.equal(verdict, 'allow', error);
	assert.equal((await judge(t, rego, { a: items, b: ['!'] })).cause, 'no_rule');
});

test('what an agent can make long in a built-in function is counted, and stopped', { timeout: 120_000 }, async t => {
	const text = '${'.repeat(MOST / 4);
	const cases: Readonly<Record<string, readonly [rego: string, body: unknown]>> = {
		'a search that begins again and again': [
			'allow if regex.replace(input.body, `\\$\\{[^}]*\\}|\\$`, "") == ""',
			text,
		],
		'the same, for what is found': ['allow if count(regex.find_n(`\\$\\{[^}]*\\}|\\$`, input.body, -1)) == 0', text],
		'the same, for what is between': ['allow if count(regex.split(`\\$\\{[^}]*\\}|\\$`, input.body)) == 0', text],
		'many texts against many': [
			'allow if strings.any_prefix_match(input.body.texts, input.body.parts)',
			{ texts: many(20_000, index => `a${index}`), parts: many(20_000, index => `b${index}`) },
		],
		'long texts that begin alike': [
			'allow if strings.any_prefix_match(input.body.texts, input.body.parts)',
			{
				texts: many(1_000, index => `${'a'.repeat(480)}${index}`),
				parts: many(1_000, index => `${'a'.repeat(480)}b${index}`),
			},
		],
		'a long text in a longer one': [
			'allow if indexof_n(input.body.text, input.body.part)',
			{ text: 'a'.repeat(MOST / 2), part: `${'a'.repeat(MOST / 4)}b` },
		],
		'an array that is copied for every operation': [
			'allow if json.patch(input.body.array, input.body.patch) == 1',
			{ array: many(100_000, () => '1'), patch: Array(10_000).fill({ op: 'remove', path: '/0' }) },
		],
	};
	for (const [what, [rego, body]] of Object.entries(cases)) {
		const { cause, error = '' } = await judge(t, rego, body);
		assert.equal(cause, 'policy_exhausted', `${what}: ${cause} ${error}`);
	}
});

test('what doubles with every operation ends before it fills the memory', { timeout: 60_000 }, async t => {
	const patch = many(40, index => String(index)).map(name => ({ op: 'copy', from: '', path: `/${name}` }));
	const { verdict, cause } = await judge(t, 'allow if json.patch({"a": 1}, input.body)["0"]', patch);
	assert.equal(verdict, 'deny');
	assert.equal(cause, 'policy_exhausted');
	const replaced = await judge(t, 'allow if regex.replace(input.body.text, "^.*$", input.body.by) == ""', {
		text: 'a'.repeat(100_000),
		by: '$0'.repeat(100_000),
	});
	assert.match(replaced.error ?? '', /regex\.replace makes more than|steps of policy\.fuel/);
	const printed = await judge(t, 'allow if sprintf(input.body.format, [input.body.text]) == ""', {
		format: '%[1]s'.repeat(10_000),
		text: 'a'.repeat(100_000),
	});
	assert.match(printed.error ?? '', /sprintf makes more than|steps of policy\.fuel/);
});
