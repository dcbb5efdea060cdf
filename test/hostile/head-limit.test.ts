import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const HEAD = 'GET http://crm.internal/ HTTP/1.1\r\nHost: crm.int';

test('a head that does not come, or comes slowly, ends the connection after limits.head', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const id = 'spiffe://example.org/agents/a';
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			listeners: [
				{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
				{
					name: 'token',
					address: '127.0.0.1:0',
					serves: 'http_proxy',
					authenticate: { token: { directory: 'tokens', agents: [id] } },
				},
			],
			limits: { head: '1s', handshake: '1s', keep_alive: '2s' },
		},
	});
	const egress = sallyport.address('egress'),
		token = sallyport.address('token');
	const agent = workspace.agent('a');
	const wires = {
		'TLS without a certificate, silent': await openWire(t, egress, { tls: {} }),
		'TLS without a certificate, half a head': await openWire(t, egress, { tls: {} }),
		'an agent, silent': await openWire(t, egress, { agent }),
		'an agent, half a head': await openWire(t, egress, { agent }),
		'no TLS, silent': await openWire(t, egress),
		'token listener, nobody, silent': await openWire(t, token),
		'token listener, nobody, half a head': await openWire(t, token),
	};
	for (const [name, wire] of Object.entries(wires)) if (name.includes('half')) wire.send(HEAD);
	for (const [name, wire] of Object.entries(wires))
		await until(() => wire.socket.destroyed, `the connection ends: ${name}`, 10_000);
	const good = await openWire(t, egress, { agent });
	const host = `crm.internal:${upstream.port}`;
	good.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
	await good.receives('HTTP/1.1 200');
});
