import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cancelRequest, int32, sslRequest, startupMessage } from '../../src/protocols/postgres/messages.ts';
import { MAX_STARTUP, readFirst, type Startup } from '../../src/protocols/postgres/startup.ts';

const message = (entries: readonly (readonly [string, string])[], version = 0x00030000): Buffer => {
	const body = Buffer.concat([
		int32(version),
		...entries.flat().map(text => Buffer.from(`${text}\0`)),
		Buffer.from([0]),
	]);
	return Buffer.concat([int32(body.length + 4), body]);
};

function startup(buffer: Buffer): Startup {
	const first = readFirst(buffer);
	assert.equal(first.kind, 'startup', JSON.stringify(first));
	return first.kind === 'startup' ? first.startup : assert.fail();
}

const bad = (buffer: Buffer, detail: RegExp): void => {
	const first = readFirst(buffer);
	assert.equal(first.kind, 'bad', JSON.stringify(first));
	assert.match(first.kind === 'bad' ? `${first.detail}: ${first.name}` : '', detail);
};

const user = ['user', 'app'] as const;

test('a start-up message gives user, database and parameters', () => {
	const read = startup(message([user, ['database', 'shop'], ['application_name', 'psql'], ['TimeZone', 'UTC']]));
	assert.equal(read.user, 'app');
	assert.equal(read.database, 'shop');
	assert.deepEqual(
		[...read.parameters],
		[
			['application_name', 'psql'],
			['TimeZone', 'UTC'],
		],
	);
	assert.equal(read.negotiate, false);
});

test('the database is the user where none is named, as in the server', () => {
	assert.equal(startup(message([user])).database, 'app');
	assert.equal(startup(message([user, ['database', '']])).database, 'app');
});

test('parameters that change what SQL means, or open another protocol, are refused by name', () => {
	for (const name of [
		'options',
		'replication',
		'search_path',
		'role',
		'session_authorization',
		'User',
		'DATABASE',
		'x',
	]) {
		bad(message([user, [name, 'on']]), new RegExp(`not allowed: ${name}$`));
	}
});

test('what two readers could take differently is refused', () => {
	bad(message([user, ['user', 'root']]), /twice/);
	bad(message([user, ['timezone', 'UTC'], ['TimeZone', 'CET']]), /twice/);
	bad(message([['user', 'a'.repeat(64)]]), /63 bytes/);
	bad(message([user, ['database', 'ü'.repeat(32)]]), /63 bytes/);
	bad(message([['database', 'shop']]), /no user/);
	bad(message([['user', '']]), /no user/);
	const latin = message([user]);
	latin[latin.length - 3] = 0xff;
	bad(latin, /not UTF-8/);
	assert.equal(startup(message([['user', 'a'.repeat(63)]])).user.length, 63);
});

test('the end must be the end', () => {
	const good = message([user]);
	const longer = Buffer.concat([good, Buffer.from('x')]);
	longer.writeUInt32BE(longer.length, 0);
	bad(longer, /after the end/);
	const shorter = good.subarray(0, good.length - 1);
	shorter.writeUInt32BE(shorter.length, 0);
	bad(shorter, /no end/);
	const { kind } = readFirst(Buffer.concat([message([user]), Buffer.from('Q')]));
	assert.equal(kind, 'startup', 'what follows the message is not of it');
});

test('lengths have limits before their bytes are there', () => {
	const head = (length: number): Buffer => Buffer.concat([int32(length), int32(0x00030000)]);
	assert.equal(readFirst(head(MAX_STARTUP)).kind, 'more');
	bad(head(MAX_STARTUP + 1), /length/);
	bad(head(7), /length/);
	bad(Buffer.concat([int32(9), int32(80877103)]), /length of the encryption request/);
	bad(Buffer.concat([int32(15), int32(80877102)]), /length of the cancel request/);
	bad(Buffer.concat([int32(12 + 257), int32(80877102)]), /length of the cancel request/);
	bad(Buffer.from('GET / HTTP/1.1\r\n'), /not a Postgres/);
	bad(Buffer.from([0xff, 0xff, 0xff, 0xff]), /not a Postgres/);
});

test('every other first packet is told apart', () => {
	assert.equal(readFirst(Buffer.alloc(0)).kind, 'more');
	assert.equal(readFirst(Buffer.from([0x16])).kind, 'tls');
	assert.equal(readFirst(sslRequest()).kind, 'ssl');
	assert.equal(readFirst(Buffer.concat([int32(8), int32(80877104)])).kind, 'gss');
	const long = Buffer.alloc(260, 7);
	assert.deepEqual(readFirst(cancelRequest(long)), { kind: 'cancel', key: long });
	assert.equal(readFirst(cancelRequest(long).subarray(0, 100)).kind, 'more');
	bad(message([user], 0x00020000), /protocol version/);
	bad(message([user], 0x00040000), /protocol version/);
});

test('newer minor versions and protocol options are negotiated down', () => {
	const asked = (minor: number, ...more: [string, string][]): Startup =>
		startup(message([user, ...more], 0x00030000 | minor));
	assert.deepEqual([asked(0).minor, asked(0).negotiate], [0, false]);
	assert.deepEqual([asked(2).minor, asked(2).negotiate], [2, false]);
	assert.deepEqual([asked(1).minor, asked(1).negotiate], [0, true]);
	assert.deepEqual([asked(9999).minor, asked(9999).negotiate], [2, true]);
	const option = asked(0, ['_pq_.test', '1']);
	assert.deepEqual([option.negotiate, option.unknownOptions, option.parameters.size], [true, ['_pq_.test'], 0]);
});

test('what is sent upstream is read back the same', () => {
	const parameters = new Map([
		['user', 'app'],
		['database', 'shop'],
		['client_encoding', 'UTF8'],
	]);
	const read = startup(startupMessage(parameters));
	assert.deepEqual([read.user, read.database, [...read.parameters]], ['app', 'shop', [['client_encoding', 'UTF8']]]);
});
