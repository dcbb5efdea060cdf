import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberText } from '../../src/formats/json-member.ts';

test('a member of an object, as it stands there', () => {
	const text = '{"a": 1.50, "b" :{"c":[1,{"a":2}],"d":"}\\"{"}, "e\\"":[ ] , "f":"x", "g":null}';
	assert.equal(memberText(text, 'a'), '1.50');
	assert.equal(memberText(text, 'b'), '{"c":[1,{"a":2}],"d":"}\\"{"}');
	assert.equal(memberText(text, 'e"'), '[ ]');
	assert.equal(memberText(text, 'f'), '"x"');
	assert.equal(memberText(text, 'g'), 'null');
	for (const key of ['c', 'd', 'x', '']) assert.equal(memberText(text, key), undefined, key);
	assert.equal(memberText('{}', 'a'), undefined);
	assert.equal(memberText('{"a":"', 'a'), undefined);
});
