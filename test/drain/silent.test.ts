import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire, type Wire } from '../support/wire.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

const AGENT = 'spiffe://example.org/agents/a';

/** Nothing but a drain closes a silent connection before this test is over. */
const PATIENT = { handshake: '10m', head: '10m', keep_alive: '10m' };

const config = (workspace: Workspace, upstream: string) => ({
	drain_timeout: '10m',
	limits: PATIENT,
	listeners: [
		{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
		{
			name: 'tokens',
			address: '127.0.0.1:0',
			serves: 'http_proxy',
			authenticate: { token: { directory: 'tokens', agents: [AGENT] } },
		},
		{ name: 'own', address: `unix:${workspace.path('own.sock')}`, serves: 'http_proxy', authenticate: { as: AGENT } },
		{ name: 'tcp', address: '127.0.0.1:0', upstream: 'opaque' },
		{ name: 'sql', address: '127.0.0.1:0', upstream: 'orders' },
	],
	upstreams: {
		crm: { address: upstream, hosts: ['crm.test'], protocol: 'http' },
		opaque: { address: '127.0.0.1:9', protocol: 'tcp' },
		orders: { address: '127.0.0.1:10', protocol: 'postgres' },
	},
});

test('SIGTERM closes silent connections at once: none keeps a drain, and the process, waiting', async t => {
	const workspace = makeWorkspace(t);
	const answers: ServerResponse[] = [];
	const upstream = await startUpstream(t, { answer: (_request, response) => void answers.push(response) });
	const sallyport = await startSallyport(t, workspace, { config: config(workspace, upstream.address) });
	const agent = workspace.agent('a');
	const busy = await openWire(t, sallyport.address('egress'), { agent });
	busy.send(`GET http://crm.test:${upstream.port}/ HTTP/1.1\r\nHost: crm.test:${upstream.port}\r\n\r\n`);
	await upstream.request(1);

	const silent: Record<string, Wire> = {
		'no TLS handshake': await openWire(t, sallyport.address('egress')),
		'half a TLS handshake': await openWire(t, sallyport.address('egress')),
		'no request after the handshake': await openWire(t, sallyport.address('egress'), { agent }),
		'no request with a token': await openWire(t, sallyport.address('tokens')),
		'no request on a Unix socket': await openWire(t, sallyport.address('own')),
		'no TLS handshake at a tcp door': await openWire(t, sallyport.address('tcp')),
		'no start-up message': await openWire(t, sallyport.address('sql')),
		'no start-up message after the handshake': await openWire(t, sallyport.address('sql'), {
			agent,
			tls: { ALPNProtocols: ['postgresql'] },
		}),
	};
	silent['half a TLS handshake']?.send(Buffer.from('1603010200010001fc0303', 'hex'));
	await until(async () => {
		const open = [...(await sallyport.metrics()).matchAll(/^sallyport_connections\{.*\} (\d+)$/gm)];
		return open.reduce((sum, [, count]) => sum + Number(count), 0) === Object.keys(silent).length + 1;
	}, 'all are accepted');

	sallyport.signal('SIGTERM');
	// A call is in flight all the while: it is not the end of the process that closes them.
	for (const [what, wire] of Object.entries(silent))
		await until(() => wire.socket.closed || wire.socket.readableEnded, `closed with ${what}`);
	answers[0]?.end('late');
	await busy.receives(/200 OK[\s\S]*late/);
	assert.deepEqual(await sallyport.ended(), { code: 0, signal: null });
});

test('with nobody but silent connections open, SIGTERM ends the process', async t => {
	const workspace = makeWorkspace(t);
	const sallyport = await startSallyport(t, workspace, { config: config(workspace, '127.0.0.1:9') });
	for (const listener of ['egress', 'tokens', 'own', 'tcp', 'sql']) await openWire(t, sallyport.address(listener));
	sallyport.signal('SIGTERM');
	// `limits.handshake`, `limits.head` and `drain_timeout` would take minutes.
	assert.deepEqual(await sallyport.ended(), { code: 0, signal: null });
});
