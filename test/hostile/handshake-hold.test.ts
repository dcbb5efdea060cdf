import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('silent TCP connections, renewed as they time out, do not keep agents out', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	// Every limit as by default but `connections`, 128 instead of 1024.
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			limits: { connections: 128, connections_per_agent: 64 },
		},
	});
	const egress = sallyport.address('egress');
	const [host, port] = egress.split(':');
	let over = false;
	const hold = () => {
		if (over) return;
		const s: Socket = connect(Number(port), host);
		s.on('error', () => {});
		s.on('close', () => setTimeout(hold, 20));
		t.after(() => s.destroy());
	};
	for (let i = 0; i < 130; i++) hold();
	const agent = workspace.agent('victim');
	const served = async (): Promise<boolean> => {
		try {
			const wire = await openWire(t, egress, { agent });
			wire.socket.destroy();
			return true;
		} catch {
			// Turned away or cut off.
			return false;
		}
	};
	await until(async () => /^sallyport_connections\{.*\} 128$/m.test(await sallyport.metrics()), 'every place is taken');
	await until(served, 'the first agent gets in');
	let times = 0;
	for (let i = 0; i < 12; i++) if (await served()) times++;
	over = true;
	// Without room made for agents it was 1 of 12.
	assert.ok(times >= 6, `${times} of 12 served`);
});
