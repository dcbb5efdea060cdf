import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { listenRaw } from '../support/wire.ts';

/** What an upstream may answer instead of HTTP, and whether the agent gets words or a broken answer. */
const ANSWERS: Readonly<Record<string, string | Buffer>> = {
	nothing: '',
	garbage: randomBytes(2000),
	'a line': 'garbage\r\n\r\n',
	'another protocol': 'SSH-2.0-OpenSSH_9.6\r\n',
	'an HTTP/2 frame': Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
	'a status that is none': 'HTTP/1.1 OK\r\n\r\n',
	'a status of four digits': 'HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n',
	'HTTP/3.0': 'HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n',
	'a huge field': `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1024 * 1024)}\r\ncontent-length: 0\r\n\r\n`,
	'many fields': `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(100_000)}\r\n`,
	'a switch of protocols unasked': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
	'100 unasked': 'HTTP/1.1 100 Continue\r\n\r\n',
	'two lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!',
	'the same length twice': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello',
	'length and chunks':
		'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
	'chunks and length':
		'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
	'a length that is none': 'HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello',
	'a negative length': 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhello',
	'another coding': 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
	'no coding': 'HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello',
	'NUL in a field': 'HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n',
	'a space in a name': 'HTTP/1.1 200 OK\r\nx y: z\r\ncontent-length: 0\r\n\r\n',
	'a bare carriage return': 'HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n',
};

test('whatever an upstream answers instead of HTTP, the agent is told 502, it is recorded, and the next good call works', async t => {
	let answer: string | Buffer = '';
	const raw = await listenRaw(t, socket => void socket.once('data', () => socket.end(answer)));
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const wire = await stage.wire();
	const wrong: string[] = [];
	for (const [at, [name, bytes]] of Object.entries(ANSWERS).entries()) {
		answer = bytes;
		const before = wire.text().length;
		wire.send(`GET http://raw.test:${raw.port}/ HTTP/1.1\r\nHost: raw.test:${raw.port}\r\n\r\n`);
		const outcome = await stage.outcome(at + 1);
		await wire
			.receives(new RegExp(`^[^]{${before}}HTTP/1\\.1 [^]*\\}$`))
			.catch((error: Error) => wrong.push(`${name}: ${error.message}`));
		const said = wire.text().slice(before);
		if (!/^HTTP\/1\.1 502 Bad Gateway upstream_reset /.test(said)) wrong.push(`${name}: ${said.split('\r\n', 1)[0]}`);
		if (outcome.cause !== 'upstream_reset') wrong.push(`${name}: ${outcome.cause}`);
	}
	assert.deepEqual(wrong, []);
	await stage.good('all of them');
	await stage.quiet();
});

test('more than the length that an upstream states does not become the next answer', async t => {
	const raw = await listenRaw(t, socket => {
		socket.on('data', () =>
			socket.write(
				'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged',
			),
		);
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const wire = await stage.wire();
	for (let turn = 1; turn <= 3; turn++) {
		wire.send(`GET http://raw.test:${raw.port}/${turn} HTTP/1.1\r\nHost: raw.test:${raw.port}\r\n\r\n`);
		await wire.receives(new RegExp(`(hello[^]*){${turn}}$`));
		await stage.quiet();
	}
	assert.doesNotMatch(wire.text(), /forged/);
	await stage.good('it');
});

test('an answer of 204 or to HEAD with a body does not leak the body into the next answer', async t => {
	const raw = await listenRaw(t, socket => {
		socket.on('data', (chunk: Buffer) => {
			const head = chunk.toString('latin1').startsWith('HEAD') ? '200 OK' : '204 No Content';
			socket.write(`HTTP/1.1 ${head}\r\ncontent-length: 6\r\n\r\nforged`);
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const wire = await stage.wire();
	for (const [turn, method] of ['HEAD', 'GET', 'HEAD', 'GET'].entries()) {
		wire.send(`${method} http://raw.test:${raw.port}/ HTTP/1.1\r\nHost: raw.test:${raw.port}\r\n\r\n`);
		await wire.receives(new RegExp(`(HTTP/1\\.1 20[04][^]*){${turn + 1}}\r\n\r\n$`));
		await stage.quiet();
	}
	assert.doesNotMatch(wire.text(), /forged/);
	await stage.good('it');
});
