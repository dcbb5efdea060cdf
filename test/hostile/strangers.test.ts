import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const sleep = (ms: number) => new Promise(r => setTimeout(r, ms));
const MALLORY = 'spiffe://example.org/agents/victim';

for (const how of ['token', 'mtls'] as const)
	test(`${how}: whoever shows no identity cannot hold every place of a listener`, async t => {
		const workspace = makeWorkspace(t);
		const upstream = await startUpstream(t);
		const sallyport = await startSallyport(t, workspace, {
			config: {
				upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
				listeners: [
					{
						name: 'egress',
						address: '127.0.0.1:0',
						serves: 'http_proxy',
						...(how === 'token' ? { authenticate: { token: { directory: 'tokens', agents: [MALLORY] } } } : {}),
					},
				],
				// As by default, but scaled down with the connections: 64 instead of 1024, 1000 handshakes/s.
				limits: { connections: 64, connections_per_agent: 32, keep_alive: '60s', head: '2s', handshake: '2s' },
			},
		});
		const egress = sallyport.address('egress');
		const host = `crm.internal:${upstream.port}`;
		const strangers = [];
		for (let i = 0; i < 64; i++) {
			const wire = await openWire(t, egress, how === 'mtls' ? { tls: {} } : {});
			strangers.push(wire);
		}
		const until = Date.now() + 12_000;
		let refused = 0,
			served = 0;
		let last = '';
		while (Date.now() < until) {
			for (const w of strangers)
				if (!w.socket.destroyed) w.send(how === 'token' ? `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n` : '');
			await sleep(1500);
			try {
				const wire = await openWire(t, egress, how === 'mtls' ? { agent: workspace.agent('victim') } : {});
				const token =
					how === 'token'
						? `Proxy-Authorization: Bearer ${readFileSync(workspace.path('tokens/victim/token'), 'utf8')}\r\n`
						: '';
				wire.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${token}\r\n`);
				last = (await wire.receives('\r\n\r\n')).split('\r\n')[0] ?? '';
				wire.socket.destroy();
				served++;
			} catch (e) {
				refused++;
				last = String(e);
			}
		}
		console.log(how, { refused, served, last, open: strangers.filter(w => !w.socket.destroyed).length });
		assert.ok(served >= 4, 'the victim gets in again within the head limit');
	});
