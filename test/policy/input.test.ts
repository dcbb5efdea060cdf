import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identity } from '../../src/model/agent.ts';
import type { MaskedText, Phase, Reads, Section } from '../../src/model/call.ts';
import { Life } from '../../src/model/life.ts';
import type { AgentPolicy } from '../../src/model/ports.ts';
import { target } from '../../src/model/target.ts';
import { sampleInput } from '../../src/policy/check.ts';
import { type CallInput, InputBuilder } from '../../src/policy/input.ts';
import { EVERYTHING, mustRefuseUnreadable, readsOf } from '../../src/policy/reads.ts';
import { undefinedPhase } from '../../src/policy/verdict.ts';

const AGENT = {
	id: 'spiffe://example.org/agents/a',
	trustDomain: 'example.org',
	path: '/agents/a',
	segments: ['agents', 'a'],
	prefixes: ['/agents', '/agents/a'],
};
const CRM = target({ upstream: 'crm', host: 'crm.internal', port: 443, protocol: 'http', tls: true });

const policyOf = (reads: Reads): AgentPolicy => ({
	bundles: [],
	reads: () => reads,
	defines: () => true,
	evaluate: undefinedPhase,
});
const reading = (...paths: readonly string[]): AgentPolicy => policyOf(readsOf(paths.map(path => path.split('.'))));

const section = (key: string, text: string, masks: MaskedText['masks'] = []): Section => ({
	key,
	build: () => ({ text, masks }),
});

const call = (fields: Partial<CallInput> = {}): CallInput => ({
	time: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
	conn: { id: 'c', identity: identity(AGENT, 'mtls'), listener: 'egress', life: new Life() },
	target: CRM,
	call: { protocol: 'http', operation: 'GET', resource: '/a"b', effect: 'read', digest: 'd' },
	sections: [],
	...fields,
});

const built = (policy: AgentPolicy, input = call(), phase: Phase = 'request'): unknown =>
	JSON.parse(new InputBuilder({ cluster: 'dev' }).build(policy, phase, input).text);

test('everything is there when nobody knows what is read', () => {
	assert.deepEqual(
		built(
			policyOf(EVERYTHING),
			call({ sections: [section('http', '{"method":"GET"}'), section('mcp', '{"tool":"x"}')] }),
		),
		{
			time: '2026-01-02T03:04:05.678Z',
			phase: 'request',
			direction: 'outbound',
			labels: { cluster: 'dev' },
			listener: 'egress',
			agent: {
				id: AGENT.id,
				trust_domain: 'example.org',
				path: '/agents/a',
				segments: ['agents', 'a'],
				prefixes: ['/agents', '/agents/a'],
				authentication: 'mtls',
			},
			target: { name: 'crm', host: 'crm.internal', port: 443, protocol: 'http', tls: true },
			call: { protocol: 'http', operation: 'GET', resource: '/a"b', effect: 'read', digest: 'd' },
			http: { method: 'GET' },
			mcp: { tool: 'x' },
		},
	);
});

for (const [paths, expected] of [
	[[], {}],
	[['time'], { time: '2026-01-02T03:04:05.678Z' }],
	[['phase'], { phase: 'request' }],
	[['time', 'labels.cluster'], { time: '2026-01-02T03:04:05.678Z', labels: { cluster: 'dev' } }],
	[['agent.path'], { agent: { path: '/agents/a' } }],
	[
		['agent', 'target.sni'],
		{
			agent: {
				id: AGENT.id,
				trust_domain: 'example.org',
				path: '/agents/a',
				segments: ['agents', 'a'],
				prefixes: ['/agents', '/agents/a'],
				authentication: 'mtls',
			},
			target: {},
		},
	],
	[['target.name', 'target.port'], { target: { name: 'crm', port: 443 } }],
	[['call.effect', 'listener'], { listener: 'egress', call: { effect: 'read' } }],
	[['http.method'], { http: { method: 'GET' } }],
	[['call.nothing'], { call: {} }],
] as const) {
	test(`only what is read is there: ${paths.join(', ') || 'nothing'}`, () => {
		assert.deepEqual(built(reading(...paths), call({ sections: [section('http', '{"method":"GET"}')] })), expected);
	});
}

test('a section that nobody reads is not built, and one that has nothing to say is left out', () => {
	const never: Section = { key: 'mcp', build: () => assert.fail('it was built') };
	const empty: Section = { key: 'http', build: () => undefined };
	assert.deepEqual(built(reading('http.path', 'phase'), call({ sections: [never, empty] })), { phase: 'request' });
});

test('an undeclared target has no name, and is not mistaken for another', () => {
	const builder = new InputBuilder({});
	const policy = reading('target.host', 'target.name');
	for (const host of ['a.example', 'b.example']) {
		const input = call({ target: target({ host, port: 443, protocol: 'tunnel', tls: false }) });
		assert.deepEqual(JSON.parse(builder.build(policy, 'connect', input).text), { target: { host } });
	}
});

test('what is prepared for one agent, revision or phase is not used for another', () => {
	const builder = new InputBuilder({});
	const policy = reading('agent.path', 'phase');
	const other = { ...call().conn, identity: identity({ ...AGENT, path: '/agents/b' }, 'mtls') };
	const text = (input: CallInput, phase: Phase, by = policy): unknown =>
		JSON.parse(builder.build(by, phase, input).text);
	const mine = call();
	for (let round = 0; round < 2; round++) {
		assert.deepEqual(text(mine, 'request'), { phase: 'request', agent: { path: '/agents/a' } });
		assert.deepEqual(text(call({ conn: other }), 'request'), { phase: 'request', agent: { path: '/agents/b' } });
		assert.deepEqual(text(mine, 'connect'), { phase: 'connect', agent: { path: '/agents/a' } });
		assert.deepEqual(text(mine, 'request', reading('agent.id')), { agent: { id: AGENT.id } });
	}
});

for (const paths of [['time', 'http'], ['phase', 'http'], ['http'], ['agent.path', 'http', 'mcp']]) {
	test(`masks keep to their stretch of the text: ${paths.join(', ')}`, () => {
		const secret = '"s3cr€t"';
		const before = '{"headers":{"authorization":';
		const text = `${before}${secret}}}`;
		const mask = {
			pointer: '/input/http/headers/authorization',
			start: before.length,
			end: before.length + secret.length,
			kind: 'secret',
		} as const;
		const { text: whole, masks } = new InputBuilder({}).build(
			reading(...paths),
			'request',
			call({
				sections: [
					section('http', text, [mask]),
					section('mcp', `{"x":${secret}}`, [{ ...mask, start: 5, end: 5 + secret.length }]),
				],
			}),
		);
		assert.equal(masks.length, paths.includes('mcp') ? 2 : 1);
		for (const { start, end } of masks) assert.equal(whole.slice(start, end), secret);
		assert.doesNotThrow(() => JSON.parse(whole));
	});
}

for (const paths of [['call'], ['call.digest'], ['time', 'call.digest', 'call.effect'], ['listener', 'call', 'http']]) {
	test(`the digest of a call is masked where it is read: ${paths.join(', ')}`, () => {
		const sections = [section('http', '{"method":"GET"}')];
		const { text, masks } = new InputBuilder({}).build(reading(...paths), 'request', call({ sections }));
		assert.deepEqual(
			masks.map(({ pointer, start, end, kind }) => [pointer, text.slice(start, end), kind]),
			[['/input/call/digest', '"d"', 'content']],
		);
	});
}

test('reads answer for a path, what lies below it and what contains it', () => {
	const reads = readsOf([['http', 'headers', 'accept'], ['sql'], ['a.b', 'c d'], ['http', 'path']]);
	assert.deepEqual(reads.paths, ['["a.b"]["c d"]', 'http.headers.accept', 'http.path', 'sql']);
	assert.equal(reads.has('http'), true);
	assert.equal(reads.has('http', 'headers'), true);
	assert.equal(reads.has('http', 'headers', 'accept'), true);
	assert.equal(reads.has('http', 'headers', 'host'), false);
	assert.equal(reads.has('http', 'body'), false);
	assert.equal(reads.has('sql', 'tables', 'x'), true);
	assert.equal(reads.has('mcp'), false);
	assert.equal(reads.all('http'), false);
	assert.equal(reads.all('http', 'headers'), false);
	assert.equal(reads.all('http', 'path'), true);
	assert.equal(reads.all('sql', 'tables'), true);
	assert.equal(reads.all('mcp'), false);
	assert.deepEqual(readsOf([]).paths, []);
	assert.equal(readsOf([]).has('http'), false);
	assert.deepEqual(readsOf([[]]).paths, ['*']);
	assert.equal(readsOf([[]]).all('http', 'body'), true);
	assert.deepEqual(readsOf([['a'], ['a', 'b']]).paths, ['a']);
});

test('a body that cannot be given is refused when it is read, unless its state is read too', () => {
	const refused = (...paths: readonly string[]): boolean =>
		mustRefuseUnreadable(readsOf(paths.map(path => path.split('.'))), 'http', 'body');
	assert.equal(refused('http.path'), false);
	assert.equal(refused('http.body'), true);
	assert.equal(refused('http.body.deep.key'), true);
	assert.equal(refused('http.body', 'http.body_state'), false);
	assert.equal(refused('http'), true, 'the whole of http names no state');
	assert.equal(mustRefuseUnreadable(EVERYTHING, 'http', 'body'), true);
	assert.equal(mustRefuseUnreadable(readsOf([['sql'], ['http', 'body_state']]), 'sql'), false);
	assert.equal(mustRefuseUnreadable(readsOf([['sql', 'tables']]), 'sql'), true);
});

test('the sample that costs are measured with is an input of every phase', () => {
	for (const phase of ['connect', 'request', 'response'] as const) assert.equal(sampleInput(phase)['phase'], phase);
});
