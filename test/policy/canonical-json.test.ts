import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../src/policy/canonical-json.ts';

const canonical = (text: string): string | undefined => canonicalJson(Buffer.from(text))?.toString();

test('keys are sorted by their bytes, numbers stay as they were written, white space goes', () => {
	assert.equal(
		canonical(' { "b" : [ 1.50 , -0, 1E+2 ] ,\t"a" : { "z" : {} , "y" : [ ] } } '),
		'{"a":{"y":[],"z":{}},"b":[1.50,-0,1E+2]}',
	);
	// U+1F600 stands above U+FFFD by its bytes, and below by its UTF-16 units.
	assert.equal(canonical('{"\u{1f600}":1,"\ufffd":2}'), '{"\ufffd":2,"\u{1f600}":1}');
	assert.equal(canonical('{"\\u0062":1,"a":2}'), '{"a":2,"b":1}', 'by what they read as');
	assert.equal(canonical('["\\u002f\\/\\u2028\u2029\\b\\u0000"]'), '["//\\u2028\\u2029\\b\\u0000"]');
	assert.equal(canonical(`[${'"\u2028",'.repeat(50)}1]`), `[${'"\\u2028",'.repeat(50)}1]`, 'longer than it was');
	for (const text of ['true', '"a"', '12', 'null']) assert.equal(canonical(`\n${text} `), text);
	for (const text of ['', '{', '{"a":1,"a":2}', '[1]]', '{"a":1,}', '"\\ud800"'])
		assert.equal(canonical(text), undefined, text);
});

test('a document says the same in whatever order and spacing it is written', () => {
	const text = fc
		.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('\u2028', '\u{1f600}', '\u0000', '10', '9'))
		// JSON.parse of this Node reads {"\b":1} as {"\\":1} behind a text with that key.
		.filter(key => !key.startsWith('\\'));
	const value = fc.letrec(tie => ({
		node: fc.oneof({ maxDepth: 5 }, text, fc.integer(), fc.array(tie('node')), fc.dictionary(text, tie('node'))),
	})).node;
	const turned = (document: unknown): unknown =>
		typeof document !== 'object' || document === null
			? document
			: Array.isArray(document)
				? document.map(turned)
				: Object.fromEntries(
						Object.entries(document)
							.map(([key, item]) => [key, turned(item)] as const)
							.toReversed(),
					);
	fc.assert(
		fc.property(value, document => {
			const written = canonical(JSON.stringify(document));
			assert.equal(canonical(JSON.stringify(turned(document), undefined, '\t')), written);
			assert.equal(canonical(written ?? ''), written);
			assert.deepEqual(JSON.parse(written ?? ''), JSON.parse(JSON.stringify(document)));
		}),
	);
});
