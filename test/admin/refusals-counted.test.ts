import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atDoor, curl } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('who is not let in to the control API is counted like a refused connection of a listener', async t => {
	const workspace = makeWorkspace(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			admin: {
				health: { address: '127.0.0.1:0' },
				control: { address: '127.0.0.1:0', operators: ['spiffe://example.org/operators/*'] },
			},
		},
	});
	const url = `https://${sallyport.address('admin.control').replace('127.0.0.1', 'localhost')}/v1/status`;
	const operator = workspace.issue('ann', 'spiffe://example.org/operators/ann');
	assert.equal((await curl([...atDoor(workspace, operator), url])).status, 200);
	const refusals = async (): Promise<string[]> =>
		(await sallyport.metrics()).split('\n').filter(line => line.startsWith('sallyport_refused_connections_total{'));
	assert.deepEqual(await refusals(), []);
	assert.equal((await curl([...atDoor(workspace, workspace.agent('a')), url])).status, 403);
	assert.equal((await curl([...atDoor(workspace), url])).status, 403);
	await until(async () => (await refusals()).length === 2, 'one cause each, by the name that records have');
	assert.deepEqual((await refusals()).sort(), [
		'sallyport_refused_connections_total{listener="admin.control",cause="identity_missing"} 1',
		'sallyport_refused_connections_total{listener="admin.control",cause="listener_forbidden"} 1',
	]);
});
