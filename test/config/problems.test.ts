import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { GOOD, problemsOf } from './fixture.ts';

test('a good configuration has no problems', () => {
	assert.deepEqual(problemsOf(GOOD), []);
});

/** What is added to GOOD (or put in its place), and what must be said of it: line, column, path, message. */
const CASES: readonly { readonly title: string; readonly text: string; readonly says: readonly string[] }[] = [
	{
		title: 'an unknown key at the top',
		text: `${GOOD}polices: {}\n`,
		says: [':11:10  polices: is not a key that Sallyport knows; did you mean `policy`?'],
	},
	{
		title: 'an unknown key below',
		text: `${GOOD}    adress: x\n`,
		says: [':11:13  listeners[0].adress: is not a key that Sallyport knows; did you mean `address`?'],
	},
	{
		title: 'an unknown key where there are several shapes, and one that is like none',
		text: `${GOOD}    zzz: 1\naudit: { sinks: [{ file: { path: a, tpyes: [decision] } }] }\n`,
		says: [
			':11:10  listeners[0].zzz: is not a key that Sallyport knows',
			':12:44  audit.sinks[0].file.tpyes: is not a key that Sallyport knows; did you mean `types`?',
		],
	},
	{
		title: 'a list where a section is',
		text: `${GOOD}limits: []\n`,
		says: [':11:9  limits: expected section, found list'],
	},
	{
		title: 'a wrong word',
		text: GOOD.replace('files: [policies]', 'files: [policies]\n  mode: enforced'),
		says: [':7:9  policy.mode: expected "enforce" or "observe"'],
	},
	{
		title: 'a wrong duration',
		text: `${GOOD}drain_timeout: 25\n`,
		says: [':11:16  drain_timeout: expected a duration such as 250ms, 30s, 5m, 24h or 30d'],
	},
	{
		title: 'a duration without a unit',
		text: `${GOOD}drain_timeout: "25"\n`,
		says: [':11:16  drain_timeout: expected a duration such as 250ms, 30s, 5m, 24h or 30d'],
	},
	{
		title: 'a wrong size',
		text: `${GOOD}limits: { body: 1MB }\n`,
		says: [':11:17  limits.body: expected a size such as 512B, 64KiB, 1MiB or 1GiB'],
	},
	{
		title: 'a wrong address',
		text: GOOD.replace('127.0.0.1:17401', '127.0.0.1'),
		says: [':9:14  listeners[0].address: expected HOST:PORT or unix:PATH, for example 127.0.0.1:17401'],
	},
	{
		title: 'a section that is missing',
		text: GOOD.replace('policy:\n  files: [policies]\n', ''),
		says: [':1:1  policy: is missing (section)'],
	},
	{
		title: 'a name that repeats',
		text: `${GOOD}  - { name: egress, address: 127.0.0.1:17402, serves: http_proxy }\n`,
		says: [':11:13  listeners[1].name: two listeners are named egress'],
	},
	{
		title: 'an upstream that is not there',
		text: GOOD.replace('serves: http_proxy', 'upstream: crm'),
		says: [':10:15  listeners[0].upstream: there is no upstream named crm'],
	},
	{
		title: 'an address without operators',
		text: `${GOOD}admin: { control: { address: 127.0.0.1:17410 } }\n`,
		says: [':11:19  admin.control.operators: is missing: who may use the address?'],
	},
	{
		title: 'a database for a door that is none',
		text: `${GOOD}    database: orders\n`,
		says: [':11:15  listeners[0].database: is for a door to postgres'],
	},
];

for (const { title, text, says } of CASES) {
	test(`${title} is told with line, column, path and what was expected`, () =>
		assert.deepEqual(problemsOf(text), says));
}

test('everything that is wrong is told at once', () => {
	const text = `${GOOD.replace('serves: http_proxy', 'serves: socks\n    agents: []')}labels: [a]\nlog: { level: loud }\n`;
	const problems = problemsOf(text);
	assert.equal(problems.length, 4, problems.join('\n'));
	for (const path of ['listeners[0].serves', 'listeners[0].agents', 'labels', 'log.level'])
		assert.ok(
			problems.some(problem => problem.includes(`  ${path}: `)),
			path,
		);
	for (const problem of problems) assert.match(problem, /^:\d+:\d+ {2}/);
});

test('a union says what is wrong in the branch that was meant', () => {
	const text = GOOD.replace(
		'serves: http_proxy',
		'serves: http_proxy\n    authenticate: { token: { directory: var/tokens, agents: [researcher] } }',
	);
	const [problem = '', ...more] = problemsOf(text);
	assert.deepEqual(more, []);
	assert.match(problem, /^:11:\d+ {2}listeners\[0\]\.authenticate\.token\.agents\[0\]: expected a SPIFFE ID such as/);
});

test('what is no YAML is told where it ends to be some', () => {
	const [problem = ''] = problemsOf('identity:\n  trust_domain: "example\n');
	assert.match(problem, /^:\d+:\d+ {2}\S/);
});

test('a key that is there twice, an alias, and a file that is too large', () => {
	assert.match(problemsOf(`${GOOD}policy: { files: [other] }\n`)[0] ?? '', /^:11:1 {2}Map keys must be unique/);
	assert.match(problemsOf(`labels: &a { x: "1" }\nidentity: *a\n`)[0] ?? '', /^:2:11 {2}aliases are not taken/);
	assert.deepEqual(problemsOf(`${GOOD}# ${'x'.repeat(1024 * 1024)}`), [':1:1  larger than 1 MiB']);
});

test('hostile YAML ends in problems, never in an exception', () => {
	for (const text of [
		'',
		'[]',
		'null',
		'--- 1\n--- 2',
		'&a [*a]',
		'{'.repeat(1000),
		'? {a: b}\n: c',
		'__proto__: { polluted: true }',
		'!!js/function "x"',
		'\u0000',
		'a: &a [x]\nb: *a',
	]) {
		assert.ok(problemsOf(text).length > 0, JSON.stringify(text.slice(0, 40)));
	}
	assert.equal(Reflect.get({}, 'polluted'), undefined);
});

test('a file that is not there', t => {
	const loaded = loadConfig(makeWorkspace(t).path('none.yaml'), {});
	assert.ok('problems' in loaded);
	assert.deepEqual(loaded.problems, [
		{ line: 0, column: 0, path: '', message: 'there is no such file; `sallyport init` makes one' },
	]);
});
