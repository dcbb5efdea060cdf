import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasMember } from '../../src/formats/json-members.ts';

const found = (text: string): boolean | undefined => hasMember(Buffer.from(text), 'own');

test('a member at the top is found wherever it stands and however it is written', () => {
	for (const text of ['{"own":1}', ' {"a":{"b":[1,"}"]}, "own"\n:{}} ', '{"\\u006fwn":1}', '{"a":1,"own":2,"own":3}'])
		assert.equal(found(text), true, text);
});

test('what stands deeper, or is a value, is no member', () => {
	for (const text of ['{}', '{"a":{"own":1}}', '{"a":"own"}', '{"a":"\\"own\\":"}', '{"a":[{"own":1}]}', '{"owns":1}'])
		assert.equal(found(text), false, text);
});

test('what is no object has none', () => {
	for (const text of ['', '[]', '"own"', '1', '{', '{"own":1', '{"own', '{}}', '{} {}', '{}x', '\ufeff{}'])
		assert.equal(found(text), undefined, text);
});
