import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startEcho } from '../support/echo.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a good edit is live soon, a bad one keeps the old and says where; open tunnels that are denied now end', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const echo = await startEcho(t);
	const sallyport = await startSallyport(t, workspace, {
		policy: policyOf('allow if input.http.path == "/a"', 'allow := true'),
		config: {
			upstreams: {
				crm: { address: upstream.address, hosts: ['crm.test'], protocol: 'http' },
				opaque: { address: echo.address, hosts: ['opaque.test'], protocol: 'tcp' },
			},
		},
	});
	const agent = workspace.agent('a');
	const proxy = throughProxy(workspace, sallyport.address('egress'), agent);
	const b = [...proxy, `http://crm.test:${upstream.port}/b`];
	assert.equal((await curl(b)).status, 403);

	const tunnel = await openWire(t, sallyport.address('egress'), { agent });
	tunnel.send(`CONNECT opaque.test:${echo.port} HTTP/1.1\r\nHost: opaque.test:${echo.port}\r\n\r\n`);
	await tunnel.receives('200 Connection Established');
	tunnel.send('ping');
	await tunnel.receives('ping');

	const edited = performance.now();
	workspace.write('policies/request.rego', 'package sallyport.request\n\nallow if input.http.path in {"/a", "/b"}\n');
	await sallyport.waitForLog(
		line =>
			line.msg === 'policy is in force' &&
			sallyport.log().filter(other => other.msg === 'policy is in force').length === 2,
		'the new policy',
	);
	t.diagnostic(`live after ${Math.round(performance.now() - edited)} ms`);
	assert.equal((await curl(b)).status, 200);

	workspace.write('policies/request.rego', 'package sallyport.request\n\nallow if input.http.path = = "/a"\n');
	const failed = await sallyport.waitForLog(
		line => String(line.msg).startsWith('the new policy was not taken'),
		'the refusal',
	);
	assert.match(JSON.stringify(failed['problems']), /request\.rego","line":3/);
	assert.equal((await curl(b)).status, 200);
	assert.match(await sallyport.metrics(), /sallyport_reload_last_success\{part="policy"\} 0/);

	workspace.write('policies/request.rego', 'package sallyport.request\n\nallow := true\n');
	workspace.write('policies/connect.rego', 'package sallyport.connect\n\nallow := false\n');
	await tunnel.closed();
	const outcome = await sallyport.waitForRecord(
		record => record.type === 'outcome' && record.cause === 'policy_changed',
		'the outcome of the tunnel',
	);
	assert.ok(outcome.decision_id);
	await until(async () => /sallyport_calls_open 0/.test(await sallyport.metrics()), 'no call is open');
});
