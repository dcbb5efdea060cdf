import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { atDoor, curl } from '../support/curl.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a policy for what goes out lets nothing in, and the listener takes its own trust domain unless it says more', async t => {
	const workspace = makeWorkspace(t);
	const inbound = {
		address: '127.0.0.1:0',
		serves: 'inbound',
		upstream: 'tool',
		agent: 'spiffe://example.org/agents/b',
	};
	const stage = await openStage(t, {
		workspace,
		listeners: [
			{ ...inbound, name: 'in' },
			{ ...inbound, name: 'few', agents: ['spiffe://example.org/callers/*'] },
		],
		policy: { 'request.rego': 'package sallyport.request\n\nallow := true\n' },
	});
	const call = (name: string, agent = workspace.agent('a')) =>
		curl([...atDoor(workspace, agent), `https://${stage.sallyport.address(name)}/x`]);

	const refused = await call('in');
	assert.equal(refused.status, 403);
	assert.equal(refused.json()['cause'], 'phase_undefined');
	const [record] = stage.decisions();
	assert.equal(record?.['path'], 'sallyport/inbound/request');
	assert.equal((await call('few')).json()['cause'], 'listener_forbidden');
	const own = workspace.issue('own', 'spiffe://example.org/sallyport');
	assert.equal((await call('in', own)).json()['cause'], 'listener_forbidden', "Sallyport's own id is no caller's");
	assert.equal(stage.tool.connections(), 0);

	workspace.write('policies/inbound.rego', 'package sallyport.inbound.request\n\nallow := true\n');
	await stage.sallyport.waitForRecord(
		({ action }) =>
			action === 'policy' && stage.sallyport.log().filter(({ msg }) => msg === 'policy is in force').length > 1,
		'the policy',
	);
	assert.equal((await call('in')).status, 200);
	await stage.quiet();
});
