import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectOf, httpCall, tunnelCall } from '../../src/protocols/http/call.ts';

test('effects by method, by the first rule of the upstream that matches, by whole segments', () => {
	assert.equal(effectOf('GET', '/', undefined), 'read');
	assert.equal(effectOf('OPTIONS', '/', []), 'read');
	assert.equal(effectOf('POST', '/', undefined), 'write');
	assert.equal(effectOf('TRACE', '/', undefined), 'write');
	const rules = [
		{ methods: ['POST'], path: '/search', effect: 'read' },
		{ path: '/run', effect: 'unknown' },
		{ methods: ['GET'], effect: 'write' },
	] as const;
	assert.equal(effectOf('POST', '/search', rules), 'read');
	assert.equal(effectOf('POST', '/search/x', rules), 'read');
	assert.equal(effectOf('POST', '/searches', rules), 'write');
	assert.equal(effectOf('DELETE', '/run/1', rules), 'unknown');
	assert.equal(effectOf('GET', '/search', rules), 'write');
});

test('the digest is the same for the same call, and another for any part that differs', () => {
	const body = Buffer.from('{}');
	const digest = (...args: Parameters<typeof httpCall>) => httpCall(...args).digest;
	const one = digest('POST', 'crm.test', '/a', 'b=c', 'write', body);
	assert.equal(digest('POST', 'crm.test', '/a', 'b=c', 'write', Buffer.from('{}')), one);
	const others = [
		digest('PUT', 'crm.test', '/a', 'b=c', 'write', body),
		digest('POST', 'crm.test:81', '/a', 'b=c', 'write', body),
		digest('POST', 'crm.test', '/a?b=c', undefined, 'write', Buffer.from('{ }')),
		digest('POST', 'crm.test', '/a', undefined, 'write', body),
		digest('POST', 'crm.test', '/a', 'b=c', 'write', undefined),
		digest('POST', 'crm.test', '/a', 'b=c', 'write', Buffer.from('[]')),
	];
	assert.equal(new Set([one, ...others]).size, others.length + 1);
	assert.equal(tunnelCall('::1', 443).resource, '[::1]:443');
	assert.equal(tunnelCall('crm.test', 443).digest, undefined);
});
