import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { compileListenerRules, type ListenerRules } from '../../src/identity/listener-rules.ts';
import { type Authentication, identity } from '../../src/model/agent.ts';

function judge(id: string, rules: Partial<ListenerRules>, authentication: Authentication = 'mtls') {
	const agent = parseSpiffeId(id);
	if ('broken' in agent) assert.fail(agent.broken);
	const rule = compileListenerRules({
		trustDomain: 'example.org',
		ownId: () => 'spiffe://example.org/sallyport',
		...rules,
	});
	return rule(identity(agent, authentication));
}

test('without patterns every agent of the own trust domain may come, and no other', () => {
	assert.equal(judge('spiffe://example.org/x/y', {}), undefined);
	assert.match(judge('spiffe://other.org/x/y', {})?.detail ?? '', /agents of example\.org only/);
});

test('with patterns they alone count, other trust domains included', () => {
	const agents = ['spiffe://example.org/agents/*', 'spiffe://partner.org/**'];
	assert.equal(judge('spiffe://example.org/agents/a', { agents }), undefined);
	assert.equal(judge('spiffe://partner.org/a/b', { agents }), undefined);
	assert.equal(judge('spiffe://example.org/other/a', { agents })?.cause, 'listener_forbidden');
});

test('an operator is refused on every listener, however it is known and whatever the patterns say', () => {
	const operators = ['spiffe://example.org/operators/**'];
	for (const agents of [undefined, ['spiffe://example.org/**'], ['spiffe://example.org/operators/ann']]) {
		for (const authentication of ['mtls', 'token', 'as'] as const) {
			const refused = judge('spiffe://example.org/operators/ann', { agents, operators }, authentication);
			assert.equal(refused?.cause, 'listener_forbidden');
			assert.match(refused?.detail ?? '', /operator/);
		}
	}
	assert.equal(judge('spiffe://example.org/agents/a', { operators }), undefined);
});

test("Sallyport's own id is no agent, unless it is named in full", () => {
	const own = 'spiffe://example.org/sallyport';
	assert.match(judge(own, {})?.detail ?? '', /own/);
	assert.match(judge(own, { agents: ['spiffe://example.org/**'] })?.detail ?? '', /own/);
	assert.equal(judge(own, { agents: ['spiffe://example.org/**', own] }), undefined);
});

test('a pattern that is none cannot be compiled', () => {
	assert.throws(() => judge('spiffe://example.org/a', { agents: ['*'] }), RangeError);
	assert.throws(() => judge('spiffe://example.org/a', { operators: ['spiffe://*/x'] }), RangeError);
});
