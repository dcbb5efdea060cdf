import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire, type Wire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const VICTIM = 'spiffe://example.org/agents/victim';

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
						...(how === 'token' ? { authenticate: { token: { directory: 'tokens', agents: [VICTIM] } } } : {}),
					},
				],
				// As by default, but scaled down with the connections: 64 instead of 1024, 1000 handshakes/s.
				limits: { connections: 64, connections_per_agent: 32, keep_alive: '60s', head: '1s', handshake: '1s' },
			},
		});
		const egress = sallyport.address('egress');
		const host = `crm.internal:${upstream.port}`;
		const strangers: Wire[] = [];
		for (let i = 0; i < 64; i++) {
			const wire = await openWire(t, egress, how === 'mtls' ? { tls: {} } : {});
			strangers.push(wire);
		}
		const agent = workspace.agent('victim');
		const served = async (): Promise<boolean> => {
			for (const { socket, send } of strangers)
				if (how === 'token' && !socket.destroyed) send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
			try {
				const wire = await openWire(t, egress, how === 'mtls' ? { agent } : {});
				const token =
					how === 'token'
						? `Proxy-Authorization: Bearer ${readFileSync(workspace.path('tokens/victim/token'), 'utf8')}\r\n`
						: '';
				wire.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${token}\r\n`);
				const answer = await wire.receives('\r\n\r\n');
				wire.socket.destroy();
				return answer.startsWith('HTTP/1.1 200');
			} catch {
				// Turned away, or cut off.
				return false;
			}
		};
		assert.equal(await served(), false, 'every place is taken');
		for (let time = 0; time < 4; time++) await until(served, 'the agent gets in, again and again', 10_000);
	});
