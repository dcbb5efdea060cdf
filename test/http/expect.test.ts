import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { openStage } from './support-stage.ts';

const JSON_HEAD = 'Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 14';
const BODY = '{"amount": 10}';

test('where policy reads the body, 100 is sent, the body read, and then decided', async t => {
	const stage = await openStage(t, { policy: policyOf('allow if input.http.body.amount < 100') });
	const allowed = await stage.wire();
	allowed.send(stage.request('POST', '/pay', JSON_HEAD));
	assert.equal(await allowed.receives('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
	assert.equal(stage.decisions().length, 0, 'not decided before the body is there');
	allowed.send(BODY);
	await allowed.receives(/^HTTP\/1\.1 200 /m);
	assert.equal(stage.tool.seen[0]?.body().toString(), BODY);
	assert.equal(stage.tool.seen[0]?.header('expect'), undefined);

	const denied = await stage.wire();
	denied.send(stage.request('POST', '/pay', JSON_HEAD));
	await denied.receives('100 Continue\r\n\r\n');
	denied.send('{"amount":999}');
	await denied.receives(/^HTTP\/1\.1 403 /m);
	assert.equal(stage.tool.seen.length, 1);
	await stage.quiet();
});

test('where policy reads the body, a head that cannot be taken gets no 100', async t => {
	const stage = await openStage(t, {
		policy: policyOf('allow if input.http.body.amount < 100'),
		limits: { body: '16B' },
	});
	const long = await stage.wire();
	long.send(
		stage.request('POST', '/pay', 'Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 17'),
	);
	assert.match(await long.receives('\r\n\r\n'), /^HTTP\/1\.1 403 Forbidden body_unreadable /);
	const elsewhere = await stage.wire();
	elsewhere.send(stage.request('POST', '/pay/%2e%2e', JSON_HEAD));
	assert.match(await elsewhere.receives('\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request undecodable /);
	assert.equal(stage.tool.connections(), 0);
	await stage.good('both').catch(() => {});
	await stage.quiet();
});

test('where policy does not read the body, it is decided first: a refused call gets its 403 without 100', async t => {
	const stage = await openStage(t, { policy: policyOf('allow if input.http.path != "/no"') });
	const denied = await stage.wire();
	denied.send(stage.request('POST', '/no', JSON_HEAD));
	assert.match(await denied.receives('\r\n\r\n'), /^HTTP\/1\.1 403 /);
	assert.equal(stage.tool.connections(), 0);

	const allowed = await stage.wire();
	allowed.send(stage.request('POST', '/yes', JSON_HEAD));
	assert.equal(await allowed.receives('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
	assert.equal(stage.decisions().length, 2, 'decided before the body was asked for');
	allowed.send(BODY);
	await allowed.receives(/^HTTP\/1\.1 200 /m);
	assert.equal(stage.tool.seen[0]?.body().toString(), BODY);
	assert.equal(allowed.text().match(/100 Continue/g)?.length, 1);
	await stage.good('both');
	await stage.quiet();
});

test('a body too long for policy that notices it gets one 100 and is streamed', async t => {
	const stage = await openStage(t, {
		policy: policyOf('allow if input.http.body_state == "too_large"'),
		limits: { body: '16B' },
	});
	const wire = await stage.wire();
	wire.send(stage.request('POST', '/big', 'Expect: 100-continue\r\nTransfer-Encoding: chunked'));
	await wire.receives('100 Continue\r\n\r\n');
	wire.send('20\r\n0123456789abcdef0123456789abcdef\r\n');
	await stage.tool.request(1);
	wire.send('3\r\nxyz\r\n0\r\n\r\n');
	await wire.receives(/^HTTP\/1\.1 200 /m);
	assert.equal(stage.tool.seen[0]?.body().toString(), '0123456789abcdef0123456789abcdefxyz');
	assert.equal(wire.text().match(/100 Continue/g)?.length, 1, 'one 100');
	await stage.quiet();
});

test('curl with a body that expects 100 is refused before it sends it', async t => {
	const stage = await openStage(t, { policy: policyOf('allow if input.http.path == "/good"') });
	const call = await stage.curl(['-H', 'Expect: 100-continue', '-d', '@-', `${stage.origin}/no`], {
		input: 'x'.repeat(1024 * 1024),
	});
	assert.equal(call.status, 403, call.error);
	assert.equal(call.json()['cause'], 'no_rule');
	await stage.good('it');
	await stage.quiet();
});
