import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { idOf, openStage, stageOf } from './stage.ts';

test('what was revoked survives kill -9, and is in force before the first listener opens; what was undone does not', async t => {
	const first = await openStage(t);
	const { workspace, upstream } = first;
	await first.order(idOf('a'));
	await first.order('spiffe://example.org/agents/team/*', { for_seconds: 3600 });
	await first.order(idOf('b'));
	await first.order(idOf('c'), { for_seconds: 0.2 });
	assert.equal((await first.revoke('--undo', idOf('b'))).code, 0);
	await first.sallyport.kill();

	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { tool: { address: upstream.address, protocol: 'http' } } },
	});
	const again = stageOf(t, workspace, sallyport, upstream);
	const call = (pair: ReturnType<typeof workspace.agent>) =>
		curl([...throughProxy(workspace, sallyport.address('egress'), pair), `http://${upstream.address}/`]);
	assert.equal((await call(workspace.agent('a'))).json()['cause'], 'revoked');
	assert.equal((await call(workspace.issue('t', idOf('team/t')))).json()['detail'], 'by a pattern of SPIFFE IDs');
	assert.equal((await call(workspace.agent('b'))).status, 200);
	await sallyport.waitForRecord(one => one['action'] === 'revocation_expired', 'what ended by itself has its record');
	const listed = await again.revoke('--list');
	assert.equal(listed.code, 0, listed.err);
	assert.match(listed.out, /^spiffe:\/\/example\.org\/agents\/a +since \S+ +uid:\d+ +a test$/m);
	assert.match(listed.out, /^spiffe:\/\/example\.org\/agents\/team\/\* +since \S+ +until \S+ +uid:\d+ +a test$/m);
	assert.equal(listed.out.includes('agents/b'), false);
	assert.match(await sallyport.metrics(), /^sallyport_revocations 2$/m);
});
