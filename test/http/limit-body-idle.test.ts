import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { startBulk } from './support-bulk.ts';
import { openStage } from './support-stage.ts';

const LIMITS = { body_idle: '1s' };

test('a body that stops coming ends its call with 408, whether policy waits for it or the upstream', async t => {
	const stage = await openStage(t, {
		limits: LIMITS,
		policy: policyOf('allow if input.http.path != "/read"\nallow if input.http.body.a'),
	});
	const read = await stage.wire();
	read.send(stage.request('POST', '/read', 'Content-Type: application/json\r\nContent-Length: 10', '{"a"'));
	assert.match(await read.closed(), /^HTTP\/1\.1 408 Request Timeout limit_exceeded /);
	const [decision] = stage.decisions();
	assert.equal(decision?.cause, 'limit_exceeded');
	assert.equal(decision?.['detail'], 'limits.body_idle');
	await stage.quiet();
	assert.equal(stage.tool.connections(), 0);
	const json = ['-H', 'content-type: application/json', '-d', '{"a":1}', `${stage.origin}/read`];
	assert.equal((await stage.curl(json)).status, 200, 'the next good call');
});

test('a small body that stops coming ends its call', async t => {
	const stage = await openStage(t, { limits: LIMITS });
	const wire = await stage.wire();
	wire.send(stage.request('POST', '/small', 'Content-Length: 10', 'abc'));
	assert.match(await wire.closed(), /^HTTP\/1\.1 408 Request Timeout limit_exceeded /);
	assert.equal((await stage.outcome()).cause, 'limit_exceeded');
	assert.equal(stage.tool.connections(), 0);
	await stage.good('it');
	await stage.quiet();
});

test('a streamed body that stops coming ends its call, and one that goes on slowly does not', async t => {
	const stage = await openStage(t, { limits: LIMITS });
	const stopped = await stage.wire();
	stopped.send(stage.request('POST', '/stopped', 'Transfer-Encoding: chunked', '5\r\nhello\r\n'));
	await stage.tool.request(1);
	assert.match(await stopped.closed(), /^HTTP\/1\.1 408 Request Timeout limit_exceeded /);
	assert.equal((await stage.outcome()).cause, 'limit_exceeded');
	assert.equal(stage.tool.seen[0]?.ended(), false);

	const slow = await stage.wire();
	slow.send(stage.request('POST', '/slow', 'Transfer-Encoding: chunked'));
	for (let turn = 0; turn < 5; turn++) {
		await new Promise(resolve => setTimeout(resolve, 500));
		slow.send('1\r\nx\r\n');
	}
	slow.send('0\r\n\r\n');
	assert.match(await slow.receives(/\}$/), /^HTTP\/1\.1 200 /);
	await stage.good('both');
	await stage.quiet();
});

test('an agent that does not take its answer is let go, and the outcome blames it', async t => {
	const bulk = await startBulk(t);
	const stage = await openStage(t, {
		limits: LIMITS,
		upstreams: { bulk: { address: bulk.address, hosts: ['bulk.test'], protocol: 'http' } },
	});
	// Too much for the buffers on the way, and an answer whose last chunk alone waits in them.
	for (const [turn, size] of [100_000_000, 7_000_000].entries()) {
		const wire = await stage.wire();
		wire.socket.pause();
		wire.send(`GET http://bulk.test:${bulk.port}/${size} HTTP/1.1\r\nHost: bulk.test:${bulk.port}\r\n\r\n`);
		const { cause } = await stage.outcome(turn + 1);
		assert.ok(cause === 'limit_exceeded' || (turn === 1 && cause === 'completed'), `${cause}`);
		await stage.quiet();
		wire.socket.destroy();
	}
	await stage.good('them');
	await stage.quiet();
});
