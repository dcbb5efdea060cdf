import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { makeWorkspace } from '../support/workspace.ts';

const MOST = 2000;

test('with a full spool calls and tunnels are refused in words and nothing is dialled; with room again they work', async t => {
	const workspace = makeWorkspace(t);
	const segment = { size: '64KiB' };
	const full = await openStage(t, { workspace, config: { audit: { limit: '256KiB', agent_share: 1, segment } } });
	await full.curl(['-o', '/dev/null', `${full.origin}/[1-${MOST}]`], { limit: 60 });
	const reached = full.tool.seen.length;
	assert.ok(reached > 10 && reached < MOST, `${reached} calls before the end`);
	const call = await full.curl([`${full.origin}/more`]);
	assert.equal(call.status, 503);
	assert.equal(call.json()['cause'], 'audit_unavailable');
	const tunnel = await full.wire();
	tunnel.send('CONNECT public.test:443 HTTP/1.1\r\nHost: public.test:443\r\n\r\n');
	assert.match(await tunnel.receives('\r\n\r\n'), /^HTTP\/1\.1 503 Service Unavailable audit_unavailable /);
	const odd = await full.wire();
	odd.send(full.request('GET', '/a/../b'));
	assert.match(
		await odd.receives('\r\n\r\n'),
		/^HTTP\/1\.1 503 Service Unavailable audit_unavailable /,
		'a refusal that cannot be written down, too',
	);
	assert.equal(full.tool.seen.length, reached);
	await full.quiet();
	assert.equal((await full.sallyport.stop()).code, 0);

	const roomy = await openStage(t, { workspace, config: { audit: { limit: '1MiB', segment } } });
	await roomy.good('there is room again');
	await roomy.quiet();
});
