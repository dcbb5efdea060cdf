import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { MAX_CLIENT_HELLO, readClientHello } from '../../src/formats/client-hello.ts';

/** What OpenSSL really sends first. */
function realHello(servername: string): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		const server = createServer(socket =>
			socket.once('data', data => {
				resolve(data);
				socket.destroy();
				server.close();
			}),
		).listen(0, '127.0.0.1', () => {
			const address = server.address();
			if (address === null || typeof address === 'string') return reject(new Error('no port'));
			const client = connect({ port: address.port, host: '127.0.0.1', ...(servername === '' ? {} : { servername }) });
			client.on('error', () => {});
		});
	});
}

const u16 = (number: number): Buffer => Buffer.from([number >> 8, number & 255]);
const sized16 = (bytes: Buffer): Buffer => Buffer.concat([u16(bytes.length), bytes]);
const name = (text: string, type = 0): Buffer => Buffer.concat([Buffer.from([type]), sized16(Buffer.from(text))]);
const extension = (type: number, data: Buffer): Buffer => Buffer.concat([u16(type), sized16(data)]);
const sni = (...names: Buffer[]): Buffer => extension(0, sized16(Buffer.concat(names)));

/** A ClientHello with these extensions, in records of at most `cut` bytes. */
function hello(extensions: readonly Buffer[] | undefined, cut = 16_384, type = 1): Buffer {
	const body = Buffer.concat([
		Buffer.from([3, 3]),
		Buffer.alloc(32),
		Buffer.from([0]),
		sized16(Buffer.from([0x13, 1])),
		Buffer.from([1, 0]),
		...(extensions === undefined ? [] : [sized16(Buffer.concat(extensions))]),
	]);
	const message = Buffer.concat([Buffer.from([type, 0]), u16(body.length), body]);
	const records: Buffer[] = [];
	for (let at = 0; at < message.length; at += cut)
		records.push(Buffer.from([22, 3, 1]), sized16(message.subarray(at, at + cut)));
	return Buffer.concat(records);
}

test('a real client is read, with a name and without', async () => {
	assert.deepEqual(readClientHello(await realHello('Api.Example.org')), { serverName: 'api.example.org' });
	assert.deepEqual(readClientHello(await realHello('')), {});
});

test('every beginning of a real ClientHello goes on', async () => {
	const bytes = await realHello('api.example.org');
	for (let length = 0; length < bytes.length; length++)
		assert.equal(readClientHello(bytes.subarray(0, length)), 'more', String(length));
});

test('one that is cut into many records is one', () => {
	assert.deepEqual(readClientHello(hello([sni(name('a.example'))], 1)), { serverName: 'a.example' });
	assert.deepEqual(readClientHello(hello(undefined, 3)), {});
});

test('one that is cut finer than anybody needs is refused, and not read anew with every byte of it', () => {
	const fine = hello([extension(21, Buffer.alloc(2000))], 1);
	assert.deepEqual(readClientHello(fine), { broken: 'the ClientHello is cut into too many records' });
	assert.deepEqual(readClientHello(fine.subarray(0, 128 * 6 + 5)), {
		broken: 'the ClientHello is cut into too many records',
	});
	assert.equal(readClientHello(fine.subarray(0, 128 * 6)), 'more');
});

test('whatever comes is read, or refused, or waited for', () => {
	const good = hello([sni(name('a.example')), extension(16, Buffer.from([0, 3, 2, 104, 50]))]);
	fc.assert(
		fc.property(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 12 }), (at, bytes) => {
			const changed = Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + bytes.length)]);
			const read = readClientHello(changed);
			assert.ok(read === 'more' || typeof read === 'object');
			if (typeof read === 'object' && 'serverName' in read) assert.match(read.serverName ?? '', /^[a-z0-9_.-]+$/);
		}),
		{ numRuns: 2000 },
	);
});

const behind = extension(0, Buffer.concat([sized16(name('a.example')), Buffer.from([0])]));

for (const [title, bytes, says] of [
	['two server names', hello([sni(name('a.example'), name('b.example'))]), /one server name/],
	['the extension twice', hello([sni(name('a.example')), sni(name('b.example'))]), /twice/],
	['an address', hello([sni(name('192.0.2.1'))]), /no host name/],
	['a port', hello([sni(name('a.example:443'))]), /no host name/],
	['a NUL in the name', hello([sni(name('a.example\0.b.example'))]), /server name/],
	['another type of name', hello([sni(name('a.example', 1))]), /one server name/],
	['an empty list', hello([sni()]), /one server name/],
	['bytes behind the list', hello([behind]), /malformed/],
	['an extension that is too long', hello([Buffer.concat([u16(0), u16(99)])]), /malformed/],
	['another message', hello([], 16_384, 2), /no ClientHello/],
	['another record', Buffer.from([23, 3, 1, 0, 1, 0]), /no handshake/],
	['an empty record', Buffer.from([22, 3, 1, 0, 0]), /length/],
	['a record beyond 2^14 bytes', Buffer.from([22, 3, 1, 0xff, 0xff]), /length/],
	['a message beyond the limit', hello([extension(21, Buffer.alloc(MAX_CLIENT_HELLO))]), /too long/],
] as const) {
	test(`refused: ${title}`, () => {
		const read = readClientHello(bytes);
		assert.ok(typeof read === 'object' && 'broken' in read, JSON.stringify(read));
		assert.match(read.broken, says);
	});
}
