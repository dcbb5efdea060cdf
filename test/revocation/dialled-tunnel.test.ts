import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { reload } from '../reload/support.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { idOf, openStage } from './stage.ts';

/** Listens, and never accepts. */
const SLEEPER = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
	parentPort.postMessage(server.address().port);
	setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});`;

/** A port on which dialling takes for ever: as many connections as the kernel holds wait there already. */
async function startFull(t: TestContext): Promise<number> {
	const worker = new Worker(SLEEPER, { eval: true });
	const [port] = (await once(worker, 'message')) as [number];
	let connected = 0;
	const sockets = [1, 2, 3, 4].map(() =>
		connect({ host: '127.0.0.1', port })
			.on('connect', () => connected++)
			.on('error', () => {}),
	);
	t.after(async () => {
		for (const socket of sockets) socket.destroy();
		await worker.terminate();
	});
	await until(() => connected >= 2, 'its queue is full');
	return port;
}

test('what ends a tunnel while it is dialled is told in words and recorded', async t => {
	const workspace = makeWorkspace(t);
	const port = await startFull(t);
	const upstreams = (hosts: string) => ({
		full: { address: `127.0.0.1:${port}`, hosts: [hosts], protocol: 'tcp' },
	});
	const { sallyport, order } = await openStage(t, { workspace, upstreams: upstreams('full.test') });
	const dial = async (name: string) => {
		const wire = await openWire(t, sallyport.address('egress'), { agent: workspace.agent(name) });
		wire.send(`CONNECT full.test:${port} HTTP/1.1\r\nHost: full.test:${port}\r\n\r\n`);
		return wire;
	};
	const [revoked, changed, left] = [await dial('a'), await dial('b'), await dial('c')];
	const records = (type: string) => sallyport.records().filter(record => record.type === type);
	await until(() => records('decision').length === 3, 'they are being dialled');

	await order(idOf('a'));
	assert.match(await revoked.closed(), /^HTTP\/1\.1 403 [\s\S]*"cause":"revoked"/);
	left.socket.destroy();
	await until(() => records('outcome').length === 2, 'who left is not dialled for');
	assert.equal((await reload(workspace, { upstreams: upstreams('other.test') })).taken, true);
	assert.match(await changed.closed(), /^HTTP\/1\.1 403 [\s\S]*"cause":"policy_changed"/);
	await until(() => records('outcome').length === 3, 'every one has its outcome');
	assert.deepEqual(
		records('outcome').map(({ cause }) => cause),
		['revoked', 'agent_aborted', 'policy_changed'],
	);
});
