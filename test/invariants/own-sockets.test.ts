import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('what policy allows does not reach private addresses that nobody declared, nor Sallyport itself', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, { config: { limits: { dial: '2s' } } });
	const egress = sallyport.address('egress');
	const proxy = throughProxy(workspace, egress, workspace.agent('a'));
	const { port } = upstream;
	const targets = [
		`http://127.0.0.1:${port}/`,
		`http://localhost:${port}/`,
		`http://[::1]:${port}/`,
		`http://[::ffff:127.0.0.1]:${port}/`,
		`http://0.0.0.0:${port}/`,
		'http://169.254.169.254/latest/meta-data/',
		'http://10.0.0.1/',
		'http://192.168.0.1/',
		'http://100.64.0.1/',
		'http://[fd00:ec2::254]/',
		'http://[64:ff9b::7f00:1]/',
		`http://${egress}/`,
		`http://${sallyport.health()}/metrics`,
	];
	for (const target of targets) {
		const call = await curl([...proxy, '--globoff', target]);
		assert.equal(call.status, 403, `${target} ${call.error} ${call.body}`);
		assert.equal(call.json()['cause'], 'address_forbidden', target);
	}
	assert.equal(upstream.connections(), 0);
	const ended = () => sallyport.records().filter(record => record.type === 'outcome');
	await until(() => ended().length === targets.length, 'every outcome');
	const outcomes = ended();
	assert.equal(outcomes.length, targets.length);
	for (const outcome of outcomes) assert.equal(outcome.cause, 'address_forbidden');
});

test('an upstream that is declared with an address of Sallyport is not dialled either', async t => {
	const workspace = makeWorkspace(t);
	const first = await startSallyport(t, workspace);
	const [, port] = first.health().split(':');
	await first.stop();
	const sallyport = await startSallyport(t, workspace, {
		config: {
			admin: { health: { address: `127.0.0.1:${port}` } },
			upstreams: { self: { address: `localhost:${port}`, protocol: 'http' } },
		},
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	const call = await curl([...proxy, `http://localhost:${port}/metrics`]);
	assert.equal(call.json()['cause'], 'address_forbidden');
});
