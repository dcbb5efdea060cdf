import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { defaults, policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const sleep = (ms: number) => new Promise(r => setTimeout(r, ms));

test('a connection that idles over a reload is not served by the configuration before', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const echo = await listenRaw(t, socket => socket.pipe(socket));
	const config = (agents: string[], mode: string) => ({
		listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', agents }],
		upstreams: {
			crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http', mode },
			raw: { address: echo.address, hosts: ['raw.internal'], protocol: 'tcp', mode },
		},
	});
	// Policy refuses everything; the upstream was being observed.
	const sallyport = await startSallyport(t, workspace, {
		config: config(['spiffe://example.org/agents/*'], 'observe'),
		policy: policyOf('allow := false'),
	});
	const egress = sallyport.address('egress');
	const agent = workspace.agent('mallory');
	const idle = await openWire(t, egress, { agent });
	const idle2 = await openWire(t, egress, { agent });
	await sleep(200);
	// The operator takes mallory off the listener, and ends observe.
	workspace.write(
		'sallyport.yaml',
		stringify({ ...defaults(workspace), ...config(['spiffe://example.org/agents/good'], 'enforce') }),
	);
	sallyport.signal('SIGHUP');
	await sleep(1500);
	console.log(
		sallyport
			.log()
			.slice(-3)
			.map(l => l.msg),
	);
	const host = `crm.internal:${upstream.port}`;
	idle.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
	await sleep(300);
	console.log('http:', idle.text().split('\r\n')[0] || '(closed)', 'upstream saw', upstream.seen.length);
	const raw = `raw.internal:${echo.port}`;
	idle2.send(`CONNECT ${raw} HTTP/1.1\r\nHost: ${raw}\r\n\r\n`);
	await sleep(300);
	idle2.send('through the tunnel');
	await sleep(300);
	console.log('connect:', idle2.text().split('\r\n')[0] || '(closed)', idle2.text().includes('through the tunnel'));
	assert.equal(upstream.seen.length, 0);
	assert.equal(echo.connections(), 0);
});
