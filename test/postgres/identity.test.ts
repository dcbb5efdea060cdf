import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { startupMessage } from '../../src/protocols/postgres/messages.ts';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgError } from '../support/pg.ts';
import { exchangeRaw } from '../support/raw.ts';

test('who shows no identity is refused in words, and nothing is dialled', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	const without = await pgError({ port: door.port, user: 'app', database: 'shop', ssl: { ca: certs.ca } });
	assert.equal(without.code, '28000');
	assert.match(without.message, /identity_missing/);

	const plain = await pgError({ port: door.port, user: 'app', database: 'shop' });
	assert.equal(plain.code, '28000');
	assert.match(plain.message, /identity_missing/);
	assert.match(plain.detail ?? '', /sslcert/);

	const other = certificates(t).agent('researcher');
	const foreign = await pgError({
		port: door.port,
		user: 'app',
		database: 'shop',
		ssl: { ca: certs.ca, cert: other.certificate, key: other.key },
	});
	assert.match(foreign.message, /identity_invalid/);

	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.refusals.map(refusal => refusal.cause),
		['identity_missing', 'identity_missing', 'identity_invalid'],
	);
	assert.deepEqual(door.dials, []);
	assert.deepEqual(door.calls, []);
});

test('an identified agent that may not come this way is refused in words', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, {
		protocol,
		certificates: certs,
		upstream: 1,
		makeConn: () => ({ cause: 'listener_forbidden' }),
	});
	const { certificate: cert, key } = certs.agent('researcher');
	const error = await pgError({ port: door.port, user: 'app', database: 'shop', ssl: { ca: certs.ca, cert, key } });
	assert.match(error.message, /listener_forbidden/);
	assert.deepEqual(
		door.refusals.map(refusal => refusal.cause),
		['listener_forbidden'],
	);
});

test('direct TLS without the ALPN of Postgres is refused', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	const { certificate: cert, key } = certs.agent('researcher');
	const options = { port: door.port, host: '127.0.0.1', servername: 'localhost', ca: certs.ca, cert, key };
	const socket = tlsConnect(options);
	const said = await new Promise<string>(resolve => {
		let text = '';
		socket.on('data', chunk => {
			text += chunk.toString('latin1');
		});
		socket.on('end', () => resolve(text));
		socket.write(startupMessage(new Map([['user', 'app']])));
	});
	assert.match(said, /direct TLS needs ALPN postgresql/);

	const wrong = tlsConnect({ ...options, ALPNProtocols: ['http/1.1'] });
	await assert.rejects(new Promise((_, reject) => wrong.on('error', reject)), /no application protocol/i);
	await until(() => door.door.size === 0);
	assert.deepEqual(door.calls, []);
});

test('bytes that came before the TLS handshake are never taken for the agent’s (CVE-2021-23222)', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	const request = Buffer.from('0000000804d2162f', 'hex');
	const said = await exchangeRaw(door.port, Buffer.concat([request, startupMessage(new Map([['user', 'app']]))]));
	assert.match(said.toString('latin1'), /^E.*bytes before the TLS handshake/s);
	assert.deepEqual(door.refusals, [{ cause: 'undecodable', detail: 'bytes before the TLS handshake' }]);
});

test('GSSENCRequest is answered with N, and SSLRequest may follow', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	const gss = Buffer.from('0000000804d21630', 'hex');
	const ssl = Buffer.from('0000000804d2162f', 'hex');
	assert.equal((await exchangeRaw(door.port, Buffer.concat([gss, ssl]), 2)).toString(), 'NS');
	assert.match((await exchangeRaw(door.port, Buffer.concat([gss, gss]))).toString('latin1'), /^NE.*second request/s);
});

test('garbage is refused, recorded, and harms nobody', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	for (const garbage of [
		'GET / HTTP/1.1\r\n\r\n',
		'\x00\x00\x00\x00\x00\x00\x00\x00',
		'\x16\x03\x01garbage garbage garbage garbage',
	]) {
		await exchangeRaw(door.port, Buffer.from(garbage, 'latin1'));
	}
	await until(() => door.door.size === 0);
	assert.deepEqual(
		door.refusals.map(refusal => refusal.cause),
		['undecodable', 'undecodable', 'identity_invalid'],
	);
	const { certificate: cert, key } = certs.agent('researcher');
	const error = await pgError({ port: door.port, user: 'app', database: 'shop', ssl: { ca: certs.ca, cert, key } });
	assert.equal(error.code, '08006', 'the next good one gets as far as the upstream, which is not there');
});

test('who says nothing is cut off by the time limit', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1, limits: { handshake: 50 } });
	const said = await exchangeRaw(door.port, Buffer.from([0]));
	assert.match(said.toString('latin1'), /limit_exceeded/);
	assert.deepEqual(
		door.refusals.map(refusal => refusal.cause),
		['limit_exceeded'],
	);
});

test('a connection that is closed in the TLS handshake is recorded by what the handshake says of it', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, { protocol, certificates: certs, upstream: 1 });
	const socket = connect({ port: door.port, host: '127.0.0.1' });
	socket.write(Buffer.from('0000000804d2162f', 'hex'));
	await once(socket, 'data');
	socket.destroy();
	await until(() => door.over === 1);
	assert.deepEqual(door.refusals, [{ cause: 'identity_missing', detail: 'closed in the TLS handshake' }]);
});

test('a client that reads only after it has sent everything still reads why it was refused', async t => {
	const certs = certificates(t);
	const door = await openDoor(t, {
		protocol,
		certificates: certs,
		upstream: 1,
		authenticate: 'as',
		decide: () => ({ cause: 'no_rule' }),
	});
	const much = Buffer.alloc(16 * 1024 * 1024, 'G');
	for (const [data, words] of [
		[much, /not a Postgres start-up message/],
		[Buffer.concat([startupMessage(new Map([['user', 'app']])), much]), /no_rule/],
	] as const) {
		const socket = connect({ port: door.port, host: '127.0.0.1' });
		socket.pause();
		await new Promise<void>((resolve, reject) => {
			socket.once('error', reject);
			socket.write(data, error => (error ? reject(error) : resolve()));
		});
		const said = await new Promise<string>(resolve => {
			let text = '';
			socket.on('data', chunk => {
				text += chunk.toString('latin1');
			});
			socket.on('end', () => resolve(text));
			socket.resume();
		});
		assert.match(said, words);
	}
});
