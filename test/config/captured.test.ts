import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, GOOD, problemsOf } from './fixture.ts';

const AS = 'authenticate: { as: "spiffe://example.org/agents/b" }';
const listener = (keys: string): string => `${GOOD}  - { name: all, serves: captured, ${keys} }\n`;
const ALONE = 'listeners[1]: expected `authenticate: { as: ID }` alone';
const PLACE = 'listeners[1].address: expected 127.0.0.1:PORT or [::1]:PORT';

test('captured connections are taken on the loopback address of their family', () => {
	for (const address of ['127.0.0.1:17406', '"[::1]:17406"'])
		assert.equal(configOf(listener(`address: ${address}, ${AS}`)).listeners[1]?.serves, 'captured');
});

test('agents are given a moment to speak first', () => {
	const problems = problemsOf(`${listener(`address: 127.0.0.1:17406, ${AS}`)}limits: { peek: 0 }\n`);
	assert.equal(problems.length, 1, problems.join('\n'));
	assert.ok(problems[0]?.includes('limits.peek: expected more than 0'), problems[0]);
});

for (const [title, keys, says] of [
	['any address', `address: 0.0.0.0:17406, ${AS}`, PLACE],
	['a Unix socket', `address: "unix:/run/all.sock", ${AS}`, PLACE],
	['mutual TLS', 'address: 127.0.0.1:17406', ALONE],
	['two ways', 'address: 127.0.0.1:17406, authenticate: [mtls, { as: "spiffe://example.org/agents/b" }]', ALONE],
	['an upstream', `address: 127.0.0.1:17406, upstream: own, ${AS}`, 'expected either `serves` or `upstream`'],
	[
		'an id that is none',
		'address: 127.0.0.1:17406, authenticate: { as: "spiffe://example.org/.." }',
		'is no SPIFFE ID',
	],
] as const) {
	test(`refused: ${title}`, () => {
		const problems = problemsOf(`${listener(keys)}upstreams: { own: { address: 127.0.0.1:8080, protocol: http } }\n`);
		assert.equal(problems.length, 1, problems.join('\n'));
		assert.ok(problems[0]?.includes(says), `${problems[0]}\n${says}`);
	});
}
