import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { listenRaw } from '../support/wire.ts';
import { openStage } from './support-stage.ts';

const silent = 'silent.test';
const upstream = (address: string, more: object = {}) => ({
	silent: { address, hosts: [silent], protocol: 'http', ...more },
});

test('an upstream that does not answer: 504, and the outcome names the limit', async t => {
	let closed = 0;
	const raw = await listenRaw(t, socket => void socket.on('data', () => {}).on('end', () => closed++));
	const stage = await openStage(t, { limits: { answer: '500ms' }, upstreams: upstream(raw.address) });
	const call = await stage.curl([`http://${silent}:${raw.port}/`]);
	assert.equal(call.status, 504);
	assert.equal(call.json()['cause'], 'upstream_timeout');
	const outcome = await stage.outcome();
	assert.equal(outcome.cause, 'upstream_timeout');
	assert.deepEqual(outcome['error'], { code: 'upstream_timeout', message: 'limits.answer' });
	await until(() => closed === 1, 'the upstream connection is closed');
	await stage.good('it');
	await stage.quiet();
});

test('informational answers without an end do not put it off', async t => {
	const raw = await listenRaw(t, socket => {
		socket.once('data', () => {
			const more = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50);
			socket.on('close', () => clearInterval(more));
		});
	});
	const stage = await openStage(t, { limits: { answer: '500ms' }, upstreams: upstream(raw.address) });
	const call = await stage.curl([`http://${silent}:${raw.port}/`], { limit: 10 });
	assert.equal(call.status, 504, call.error);
	await stage.good('it');
	await stage.quiet();
});

test('an answer that stops in its middle is broken off', async t => {
	const raw = await listenRaw(t, socket => {
		socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun'));
	});
	const stage = await openStage(t, { limits: { body_idle: '500ms' }, upstreams: upstream(raw.address) });
	const call = await stage.curl([`http://${silent}:${raw.port}/`], { limit: 10 });
	assert.equal(call.exit, 18, 'curl says: transferred a partial file');
	const outcome = await stage.outcome();
	assert.equal(outcome.cause, 'upstream_timeout');
	assert.deepEqual(outcome['error'], { code: 'upstream_timeout', message: 'limits.body_idle' });
	await stage.good('it');
	await stage.quiet();
});

test('an upstream that takes no more of an upload: 504', async t => {
	const raw = await listenRaw(t, socket => void socket.pause());
	const stage = await openStage(t, { limits: { body_idle: '500ms' }, upstreams: upstream(raw.address) });
	const call = await stage.curl(['-T', '-', `http://${silent}:${raw.port}/`], {
		input: 'x'.repeat(32 * 1024 * 1024),
		limit: 10,
	});
	assert.equal(call.status, 504, call.error);
	assert.equal((await stage.outcome()).cause, 'upstream_timeout');
	await stage.good('it');
	await stage.quiet();
});

test('a TLS handshake that does not end: 504 within limits.dial', async t => {
	let closed = 0;
	const raw = await listenRaw(t, socket => void socket.on('data', () => {}).on('end', () => closed++));
	const stage = await openStage(t, {
		limits: { dial: '500ms' },
		upstreams: upstream(raw.address, { upgrade: true, tls: { trust_bundle: 'certs/ca.pem' } }),
	});
	const call = await stage.curl([`http://${silent}:${raw.port}/`], { limit: 10 });
	assert.equal(call.status, 504, call.error);
	assert.equal(call.json()['cause'], 'upstream_timeout');
	await until(() => closed === 1, 'the upstream connection is closed');
	await stage.good('it');
	await stage.quiet();
});

test('an agent that leaves during the TLS handshake with the upstream takes it along', async t => {
	let closed = 0;
	const raw = await listenRaw(t, socket => void socket.on('data', () => {}).on('end', () => closed++));
	const stage = await openStage(t, {
		limits: { dial: '60s' },
		upstreams: upstream(raw.address, { upgrade: true, tls: { trust_bundle: 'certs/ca.pem' } }),
	});
	const wire = await stage.wire();
	wire.send(`GET http://${silent}:${raw.port}/ HTTP/1.1\r\nHost: ${silent}:${raw.port}\r\n\r\n`);
	await until(() => raw.connections() === 1, 'it is dialled');
	wire.socket.destroy();
	await until(() => closed === 1, 'the upstream connection is closed');
	assert.equal((await stage.outcome()).cause, 'agent_aborted');
	await stage.good('it');
	await stage.quiet();
});

test('a call longer than limits.total ends, however busy it is', async t => {
	const raw = await listenRaw(t, socket => {
		socket.once('data', () => {
			socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
			const more = setInterval(() => socket.write('1\r\nx\r\n'), 50);
			socket.on('close', () => clearInterval(more));
		});
	});
	const stage = await openStage(t, { limits: { total: '700ms' }, upstreams: upstream(raw.address) });
	const call = await stage.curl([`http://${silent}:${raw.port}/`], { limit: 10 });
	assert.notEqual(call.exit, 0);
	assert.notEqual(call.exit, 28, 'Sallyport ended it, not curl');
	const outcome = await stage.outcome();
	assert.deepEqual(outcome['error'], { code: 'upstream_timeout', message: 'limits.total' });
	await stage.good('it');
	await stage.quiet();
});
