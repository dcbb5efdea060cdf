import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { listenRaw } from '../support/wire.ts';
import { openStage } from './support-stage.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers the first request of each connection and breaks off at the second, as one that closes it while idle. */
async function racing(t: Parameters<typeof openStage>[0]) {
	const requests: string[] = [];
	const raw = await listenRaw(t, (socket: Socket) => {
		let here = 0;
		socket.on('data', (chunk: Buffer) => {
			requests.push(chunk.toString('latin1').split(' ', 1)[0] ?? '');
			if (++here === 1) socket.write(OK);
			else socket.resetAndDestroy();
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const wire = await stage.wire();
	const ask = (method: string, more = ''): void =>
		wire.send(`${method} http://raw.test:${raw.port}/ HTTP/1.1\r\nHost: raw.test:${raw.port}\r\n${more}`);
	ask('GET', '\r\n');
	await wire.receives(/ok$/);
	await stage.quiet();
	return { raw, stage, wire, ask, requests };
}

test('a GET on a connection that the upstream closes in the same moment is sent once more', async t => {
	const { raw, stage, wire, ask, requests } = await racing(t);
	ask('GET', '\r\n');
	await wire.receives(/ok[\s\S]*ok$/);
	assert.deepEqual(requests, ['GET', 'GET', 'GET']);
	assert.equal(raw.connections(), 2);
	const outcome = await stage.outcome(2);
	assert.equal(outcome.cause, 'completed');
	assert.equal(outcome['attempts'], 2);
	await stage.quiet();
});

test('a POST is not', async t => {
	const { raw, stage, wire, ask, requests } = await racing(t);
	ask('POST', 'Content-Length: 2\r\n\r\n{}');
	await wire.receives(/HTTP\/1\.1 502 Bad Gateway upstream_reset /);
	assert.deepEqual(requests, ['GET', 'POST']);
	assert.equal(raw.connections(), 1);
	const outcome = await stage.outcome(2);
	assert.equal(outcome.cause, 'upstream_reset');
	assert.equal(outcome['attempts'], 1);
	await stage.good('it');
	await stage.quiet();
});

test('a connection that the upstream has closed is not used again, for a POST neither', async t => {
	const requests: string[] = [];
	const raw = await listenRaw(t, socket => {
		socket.on('data', (chunk: Buffer) => {
			requests.push(chunk.toString('latin1').split(' ', 1)[0] ?? '');
			socket.end(OK);
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const url = `http://raw.test:${raw.port}/`;
	for (let turn = 0; turn < 3; turn++) {
		const call = await stage.curl(['-d', '{}', url]);
		assert.equal(call.status, 200, call.body);
		await until(
			async () => /^sallyport_upstream_connections 0$/m.test(await stage.sallyport.metrics()),
			'it is closed here too',
		);
	}
	assert.deepEqual(requests, ['POST', 'POST', 'POST']);
	await stage.quiet();
});

test('a GET is sent once more, not twice', async t => {
	const requests: string[] = [];
	let connections = 0;
	const raw = await listenRaw(t, socket => {
		const first = ++connections === 1;
		socket.on('data', (chunk: Buffer) => {
			requests.push(chunk.toString('latin1').split(' ', 1)[0] ?? '');
			if (first && requests.length === 1) socket.write(OK);
			else socket.resetAndDestroy();
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const url = `http://raw.test:${raw.port}/`;
	assert.equal((await stage.curl([url])).status, 200);
	await stage.quiet();
	const call = await stage.curl([url]);
	assert.equal(call.status, 502);
	assert.equal(call.json()['cause'], 'upstream_reset');
	assert.deepEqual(requests, ['GET', 'GET', 'GET']);
	assert.equal((await stage.outcome(2))['attempts'], 2);
	await stage.quiet();
});
