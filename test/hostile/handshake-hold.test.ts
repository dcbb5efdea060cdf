import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const sleep = (ms: number) => new Promise(r => setTimeout(r, ms));

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
	await sleep(1000);
	let served = 0;
	for (let i = 0; i < 12; i++) {
		try {
			const w = await openWire(t, egress, { agent: workspace.agent('victim') });
			w.socket.destroy();
			served++;
		} catch {
			// Turned away or cut off.
		}
		await sleep(1000);
	}
	over = true;
	// Without room made for agents it was 1 of 12.
	assert.ok(served >= 6, `${served} of 12 served`);
});
