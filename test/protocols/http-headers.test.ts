import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answeredHeaders, forwardedHeaders, mayTrail } from '../../src/protocols/http/headers.ts';

test('a request goes on with a Host of ours, in lower case, without the fields of this hop', () => {
	const raw = [
		'Host',
		'a',
		'X-A',
		'1',
		'Connection',
		'x-b, Keep-Alive',
		'X-B',
		'2',
		'TE',
		'trailers',
		'Content-Length',
		'3',
		'x-a',
		'4',
		'X_Forwarded_Client_Cert',
		'By=x',
	];
	assert.deepEqual(forwardedHeaders(raw, 'b', 'x-b, Keep-Alive'), ['host', 'b', 'x-a', '1', 'x-a', '4']);
});

test('an answer keeps its names and repeated fields, without those of this hop and those that any Connection nominates', () => {
	const raw = [
		'X-A',
		'1',
		'Connection',
		'x-b',
		'X-B',
		'2',
		'Set-Cookie',
		'a',
		'connection',
		'X-C',
		'X-C',
		'3',
		'Set-Cookie',
		'b',
		'Content-Length',
		'5',
	];
	assert.deepEqual(answeredHeaders(raw), {
		list: ['X-A', '1', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'Content-Length', '5'],
		length: 5,
		chunked: false,
		ambiguous: false,
		connection: 'x-b,x-c',
		keepAlive: undefined,
	});
});

test('an answer whose end has two readings is ambiguous', () => {
	const ambiguous = (...raw: string[]): boolean => answeredHeaders(raw).ambiguous;
	assert.equal(ambiguous('Transfer-Encoding', 'chunked'), false);
	assert.equal(ambiguous('transfer-encoding', 'Chunked'), false);
	assert.equal(ambiguous('Content-Length', '1'), false);
	assert.equal(ambiguous('Content-Length', '1', 'content-length', '1'), true);
	assert.equal(ambiguous('Content-Length', '1', 'Transfer-Encoding', 'chunked'), true);
	assert.equal(ambiguous('Transfer-Encoding', 'gzip, chunked'), true);
	assert.equal(ambiguous('Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'), true);
	assert.equal(ambiguous('Transfer-Encoding', 'identity'), true);
});

test('no field that frames, routes or authenticates may trail', () => {
	for (const name of [
		'Content-Length',
		'transfer-encoding',
		'Host',
		'Set-Cookie',
		'Connection',
		'Trailer',
		'Content-Type',
	])
		assert.equal(mayTrail(name), false, name);
	for (const name of ['grpc-status', 'X-Checksum', 'Server-Timing', 'ETag']) assert.equal(mayTrail(name), true, name);
});
