import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('a head that does not arrive in time is answered with 408, recorded, and its connection ends', async t => {
	const stage = await openStage(t, { limits: { head: '500ms' } });
	const { origin, host } = stage;
	const slow = await stage.wire();
	const drip = setInterval(() => slow.send('x'), 50);
	t.after(() => clearInterval(drip));
	slow.send(`GET ${origin}/x HTTP/1.1\r\nHost: ${host}\r\nX: `);
	assert.match(await slow.closed(), /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*"cause":"limit_exceeded"/);
	clearInterval(drip);
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'limit_exceeded', 'the limit');
	assert.equal(record['detail'], 'limits.head');

	// The second head of a connection, too.
	const second = await stage.wire();
	second.send(stage.request('GET', '/first'));
	await second.receives(/^HTTP\/1\.1 200 /);
	second.send('GET ');
	assert.match(await second.closed(), /HTTP\/1\.1 408 /);

	// Who connects and says nothing is let go without a word.
	const silent = await stage.wire();
	assert.equal(await silent.closed(), '');
	// Nor does who sends nothing but empty lines.
	const empty = await stage.wire();
	const lines = setInterval(() => empty.send('\r\n'), 100);
	t.after(() => clearInterval(lines));
	assert.equal(await empty.closed(), '');
	clearInterval(lines);
	assert.equal(stage.tool.seen.length, 1);
	await stage.good('all of them');
	await stage.quiet();
	await until(
		async () => /^sallyport_connections\{listener="egress"\} 0$/m.test(await stage.sallyport.metrics()),
		'no connection is left',
	);
});
