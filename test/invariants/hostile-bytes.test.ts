import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** What upstreams may answer instead of HTTP. */
const ANSWERS: readonly (string | Buffer)[] = [
	'',
	'garbage\r\n\r\n',
	'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!',
	'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort',
	'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n',
	'HTTP/1.1 999 \r\n\r\n',
	'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
	`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1024 * 1024)}\r\n\r\n`,
	'HTTP/1.1 200 OK\r\nset-cookie: a\x00b\r\n\r\n',
	'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello',
	Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]),
];

test('no bytes of an agent or an upstream end the process, and the next good call works', async t => {
	const workspace = makeWorkspace(t);
	const good = await startUpstream(t);
	let answer: string | Buffer = '';
	const bad = await listenRaw(t, socket => {
		socket.once('data', () => socket.end(answer));
	});
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: {
				good: { address: good.address, hosts: ['good.internal'], protocol: 'http' },
				bad: { address: bad.address, hosts: ['bad.internal'], protocol: 'http' },
			},
			limits: { handshake: '1s', head: '1s', answer: '2s', body_idle: '2s' },
		},
	});
	const egress = sallyport.address('egress');
	const agent = workspace.agent('a');
	const proxy = throughProxy(workspace, egress, agent);
	const goodCall = async (after: string): Promise<void> => {
		const call = await curl([...proxy, `http://good.internal:${good.port}/`]);
		assert.equal(call.status, 200, `after ${after}: ${call.error}${call.body}${sallyport.stderr()}`);
	};

	// Before TLS.
	for (const bytes of [
		Buffer.alloc(0),
		Buffer.from('GET / HTTP/1.1\r\n\r\n'),
		Buffer.from([0x16, 3, 1, 255, 255]),
		randomBytes(4096),
	]) {
		const wire = await openWire(t, egress);
		wire.socket.end(bytes);
		await wire.closed();
	}
	await goodCall('garbage instead of TLS');

	// Under an identity.
	for (const bytes of [
		randomBytes(8192),
		'\r\n'.repeat(10_000),
		`GET ${'/'.repeat(100_000)}`,
		'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
		'\x00',
	]) {
		const wire = await openWire(t, egress, { agent });
		wire.socket.end(bytes);
		await wire.closed();
	}
	await goodCall('garbage instead of HTTP');

	for (const bytes of ANSWERS) {
		answer = bytes;
		await curl([...proxy, `http://bad.internal:${bad.port}/`], { limit: 10 });
	}
	await goodCall('garbage of an upstream');
	assert.match(await sallyport.metrics(), /^sallyport_calls_open 0$/m);
	const { code, signal } = await sallyport.stop();
	assert.deepEqual({ code, signal }, { code: 0, signal: null });
});
