import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, GOOD, problemsOf } from './fixture.ts';

const UPSTREAM = 'upstreams: { own: { address: 127.0.0.1:8080, protocol: http } }\n';
const AGENT = 'agent: spiffe://example.org/agents/b';
const listener = (keys: string): string => `${GOOD}  - { name: in, address: 127.0.0.1:17403, ${keys} }\n${UPSTREAM}`;

test('an inbound listener has an upstream and the workload behind it', () => {
	const config = configOf(listener(`serves: inbound, upstream: own, ${AGENT}`));
	assert.equal(config.listeners[1]?.agent, 'spiffe://example.org/agents/b');
});

for (const [title, keys, says] of [
	[
		'without an upstream',
		`serves: inbound, ${AGENT}`,
		":11:5  listeners[1]: expected `upstream`: the workload's own server",
	],
	[
		'without the workload',
		'serves: inbound, upstream: own',
		':11:5  listeners[1]: expected `agent`: the id of the workload behind',
	],
	[
		'an upstream that is not there',
		`serves: inbound, upstream: other, ${AGENT}`,
		':11:70  listeners[1].upstream: there is no upstream named other',
	],
	['a workload behind a door', `upstream: own, ${AGENT}`, ':11:65  listeners[1].agent: is for `serves: inbound`'],
	[
		'a workload that is no SPIFFE ID',
		'serves: inbound, upstream: own, agent: "spiffe://example.org/.."',
		':11:82  listeners[1].agent: is no SPIFFE ID',
	],
	[
		'an address to hand out',
		`serves: inbound, upstream: own, env: OWN, ${AGENT}`,
		'listeners[1].env: only a door has an address to hand out',
	],
	[
		'a proxy with an upstream',
		'serves: http_proxy, upstream: own',
		':11:5  listeners[1]: expected either `serves` or `upstream`',
	],
] as const) {
	test(`refused: ${title}`, () => {
		const problems = problemsOf(listener(keys));
		assert.equal(problems.length, 1, problems.join('\n'));
		assert.ok(problems[0]?.includes(says), `${problems[0]}\n${says}`);
	});
}
