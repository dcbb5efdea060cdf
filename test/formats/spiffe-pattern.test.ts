import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compilePattern, matchesAny, patternProblem } from '../../src/formats/spiffe-pattern.ts';

test('* is one whole segment, /** the rest, and all else is itself', () => {
	const cases: readonly [pattern: string, id: string, matches: boolean][] = [
		['spiffe://e.org/agents/a', 'spiffe://e.org/agents/a', true],
		['spiffe://e.org/agents/a', 'spiffe://e.org/agents/A', false],
		['spiffe://e.org/agents/a', 'spiffe://e.org/agents/ab', false],
		['spiffe://e.org/agents/*', 'spiffe://e.org/agents/a', true],
		['spiffe://e.org/agents/*', 'spiffe://e.org/agents', false],
		['spiffe://e.org/agents/*', 'spiffe://e.org/agents/a/b', false],
		['spiffe://e.org/*/a', 'spiffe://e.org/x/a', true],
		['spiffe://e.org/*/a', 'spiffe://e.org/x/y/a', false],
		['spiffe://e.org/*/a/**', 'spiffe://e.org/x/a/b/c', true],
		['spiffe://e.org/*/a/**', 'spiffe://e.org/x/a', false],
		['spiffe://e.org/*/**', 'spiffe://e.org/x', false],
		['spiffe://e.org/*/**', 'spiffe://e.org/x/y', true],
		['spiffe://e.org/agents/**', 'spiffe://e.org/agents/a', true],
		['spiffe://e.org/agents/**', 'spiffe://e.org/agents/a/b/c', true],
		['spiffe://e.org/agents/**', 'spiffe://e.org/agents', false],
		['spiffe://e.org/agents/**', 'spiffe://e.org/agents2/a', false],
		['spiffe://e.org/**', 'spiffe://e.org/a', true],
		['spiffe://e.org/**', 'spiffe://e.org', false],
		['spiffe://e.org/**', 'spiffe://e.org.evil/a', false],
		['spiffe://e.org/*', 'spiffe://f.org/a', false],
		['spiffe://e.org', 'spiffe://e.org', true],
		['spiffe://e.org', 'spiffe://e.org/a', false],
	];
	for (const [pattern, id, expected] of cases) assert.equal(compilePattern(pattern)(id), expected, `${pattern} ${id}`);
});

test('what is not an id matches no wildcard', () => {
	for (const pattern of ['spiffe://e.org/agents/*', 'spiffe://e.org/agents/**', 'spiffe://e.org/*/**']) {
		for (const id of [
			'spiffe://e.org/agents/',
			'spiffe://e.org/agents//',
			'spiffe://e.org/agents/..',
			'spiffe://e.org/agents/a?b',
			'spiffe://e.org/agents/a/',
			'',
		]) {
			assert.equal(compilePattern(pattern)(id), false, `${pattern} ${id}`);
		}
	}
});

test('what is not a pattern throws, for matching nothing could open what it forbids', () => {
	for (const text of [
		'',
		'*',
		'**',
		'e.org/a',
		'spiffe://*/a',
		'spiffe://e.org/a*',
		'spiffe://e.org/**/a',
		'spiffe://e.org/a/',
		'spiffe://e.org/../a',
		'spiffe://E.org/a',
		'spiffe://e.org/a**',
		'spiffe://**',
	]) {
		assert.notEqual(patternProblem(text), undefined, text);
		assert.throws(() => compilePattern(text), RangeError, text);
	}
});

test('a list matches when one of it does; an empty list matches nothing', () => {
	const matches = matchesAny(['spiffe://e.org/a', 'spiffe://e.org/b/*']);
	assert.ok(matches('spiffe://e.org/a') && matches('spiffe://e.org/b/c'));
	assert.ok(!matches('spiffe://e.org/b'));
	assert.ok(!matchesAny([])('spiffe://e.org/a'));
});

test('a matcher agrees with the obvious one', () => {
	const segment = fc.constantFrom('a', 'b', 'c');
	const segments = fc.array(segment, { maxLength: 4 });
	const parts = fc.array(fc.oneof(segment, fc.constant('*')), { maxLength: 4 });
	fc.assert(
		fc.property(parts, fc.boolean(), segments, (pattern, rest, given) => {
			const text = ['spiffe://e.org', ...pattern, ...(rest ? ['**'] : [])].join('/');
			const id = ['spiffe://e.org', ...given].join('/');
			const fits = rest ? given.length > pattern.length : given.length === pattern.length;
			const expected = fits && pattern.every((part, index) => part === '*' || part === given[index]);
			return compilePattern(text)(id) === expected;
		}),
		{ numRuns: 500 },
	);
});
