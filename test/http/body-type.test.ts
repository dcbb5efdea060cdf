import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyForPolicy } from '../../src/proxy/http/body.ts';

const JSON_BODY = Buffer.from('{"a":1}');

test('the media types of JSON, and of nothing else', () => {
	for (const type of [
		'application/json',
		'application/json;charset=utf-8',
		'Application/JSON; charset="UTF-8"',
		'application/problem+json ; charset=utf-8;',
		'application/vnd.api+json',
	])
		assert.equal(bodyForPolicy(JSON_BODY, type, undefined).state, 'whole', type);
	for (const type of [
		'text/json',
		'application/jsonx',
		'application/json; charset=utf-16',
		'application/json; x=y',
		'',
	])
		assert.equal(bodyForPolicy(JSON_BODY, type, undefined).state, 'unparsed', type);
});

test('a media type that is made to be slow to match is not matched', { timeout: 5000 }, () => {
	const spaces = ' '.repeat(1_000_000);
	for (const type of [`application/json${spaces}x`, `application/json;${spaces}charset=utf-8${spaces}x`])
		assert.equal(bodyForPolicy(JSON_BODY, type, undefined).state, 'unparsed');
	for (const type of [`application/json${' '.repeat(230)}x`, `application/${'+'.repeat(240)}`])
		assert.equal(bodyForPolicy(JSON_BODY, type, undefined).state, 'unparsed');
});
