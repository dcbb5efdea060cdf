import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTunnel, reload } from '../reload/support.ts';
import { startEcho } from '../support/echo.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a connection that idles over a reload is not served by the configuration before', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const echo = await startEcho(t);
	const config = (agents: string[], mode: string) => ({
		listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', agents }],
		upstreams: {
			crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http', mode },
			raw: { address: echo.address, hosts: ['raw.internal'], protocol: 'tcp', mode },
		},
	});
	const good = ['spiffe://example.org/agents/good'];
	// Policy refuses everything; the upstreams are being observed.
	const sallyport = await startSallyport(t, workspace, {
		config: config([...good, 'spiffe://example.org/agents/mallory'], 'observe'),
		policy: policyOf('allow := false'),
	});
	const egress = sallyport.address('egress');
	const raw = `raw.internal:${echo.port}`;
	const agent = workspace.agent('mallory');
	const before = await openTunnel(t, egress, raw, { agent });
	const [asks, tunnels] = [await openWire(t, egress, { agent }), await openWire(t, egress, { agent })];
	// The operator takes mallory off the listener, and ends observe.
	assert.equal((await reload(workspace, config(good, 'enforce'))).taken, true);
	const host = `crm.internal:${upstream.port}`;
	asks.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
	tunnels.send(`CONNECT ${raw} HTTP/1.1\r\nHost: ${raw}\r\n\r\nthrough the tunnel`);
	for (const wire of [asks, tunnels]) assert.doesNotMatch(await wire.closed(), /^HTTP\/1\.1 200|through the tunnel/);
	await before.closed();
	assert.equal(upstream.seen.length, 0);
	assert.equal(echo.connections(), 1, 'the one of before');
});
