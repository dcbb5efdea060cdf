import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { idOf, openStage } from './stage.ts';

test('a revocation takes effect when records cannot be written, and says so; nothing is given back then', async t => {
	const { workspace, sallyport, revoke, connect, get } = await openStage(t, {
		config: { audit: { limit: '1MiB', segment: { size: '1MiB' }, agent_share: 1 } },
	});
	const [a, b] = await Promise.all(['a', 'b'].map(name => connect(workspace.agent(name))));
	assert.ok(a !== undefined && b !== undefined);
	a.send(get('/'));
	await a.receives('HTTP/1.1 200');
	// Fills the room for records, until a call is refused for it.
	const path = `/${'x'.repeat(8000)}`;
	await until(
		() => {
			b.send(get(path));
			return b.text().includes('"cause":"audit_unavailable"');
		},
		'records cannot be written any more',
		60_000,
	);
	const ran = await revoke(idOf('a'), '--reason', 'runs away');
	assert.equal(ran.code, 1);
	assert.match(ran.out, /^revoked .*1 connection cut in [\d.]+ ms$/m);
	assert.match(ran.err, /It is in force, but was not written down first/);
	await a.closed();
	const undone = await revoke('--undo', idOf('a'));
	assert.equal(undone.code, 1);
	assert.match(undone.err, /not undone: that cannot be written down now/);
	const listed = await revoke('--list');
	assert.ok(listed.out.includes(idOf('a')));
	// The reserve for what operators and Sallyport itself do has room for it.
	await sallyport.waitForRecord(record => record['action'] === 'revoke', 'the revocation');
});
