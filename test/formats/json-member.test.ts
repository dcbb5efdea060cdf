import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scanJson } from '../../src/formats/json.ts';
import { objectMember } from '../../src/formats/json-member.ts';

const find = (text: string, name = 'sallyport') => objectMember(Buffer.from(text), name);

test('a member is found at the top alone, however it is spelled', () => {
	assert.deepEqual(find('{"sallyport":1}'), { object: true, found: true });
	assert.deepEqual(find(' {"a" : [{"sallyport":1}], "s\\u0061llyport" :{}}'), { object: true, found: true });
	for (const text of ['{"a":"sallyport"}', '{"a":{"sallyport":1},"b":["sallyport"]}', '{"\\"sallyport":1}', '{}'])
		assert.deepEqual(find(text), { object: true, found: false }, text);
	for (const text of ['["sallyport"]', '"sallyport"', '1', ' [{"sallyport":1}]'])
		assert.deepEqual(find(text), { object: false, found: false }, text);
});

test('it finds what JSON.parse finds', () => {
	const names = fc.constantFrom('a', 'sallyport', '"', '\\', 'ä', '\u2028', '');
	const value = fc.letrec(tie => ({
		node: fc.oneof(fc.string(), fc.integer(), names, fc.array(tie('node')), fc.dictionary(names, tie('node'))),
	})).node;
	fc.assert(
		fc.property(value, names, fc.constantFrom(undefined, '\t'), (document, name, space) => {
			const text = JSON.stringify(document, undefined, space);
			assert.equal(scanJson(Buffer.from(text)), undefined);
			const object = typeof document === 'object' && document !== null && !Array.isArray(document);
			assert.deepEqual(find(text, name), { object, found: object && Object.hasOwn(document, name) });
		}),
	);
});
