import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Health, type NotReady } from '../../src/admin/health.ts';
import { LoopHealth } from '../../src/admin/loop-health.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { ask } from './fixture.ts';

async function open(t: TestContext, more: { readonly missing?: NotReady[]; readonly loop?: LoopHealth } = {}) {
	const { missing = [], loop } = more;
	const { registry } = createMetrics('0.0.0-test');
	const health = new Health({
		address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
		registry,
		readiness: () => missing,
		...(loop === undefined ? {} : { loop }),
	});
	t.after(() => health.close());
	await health.listen();
	const { bound } = health;
	assert.ok(bound !== undefined && 'port' in bound);
	const { port } = bound;
	return { health, port, get: (path: string, method = 'GET') => ask({ host: '127.0.0.1', port, path, method }) };
}

test('/livez answers while the event loop runs', async t => {
	const { get } = await open(t);
	const answer = await get('/livez');
	assert.equal(answer.status, 200);
	assert.equal(answer.json().live, true);
	assert.equal(typeof answer.json().event_loop_delay_ms, 'number');
});

test('/livez tells of a loop that stood still a moment ago', async t => {
	const loop = new LoopHealth({ stall: 100, memory: 60_000, beat: 20 });
	const { get } = await open(t, { loop });
	assert.equal((await get('/livez')).status, 200);
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
	const answer = await get('/livez');
	assert.equal(answer.status, 503);
	assert.equal(answer.json().live, false);
	assert.ok(Number(answer.json().event_loop_delay_ms) >= 200);
});

test('a stall is forgotten after a while', t => {
	let now = 0;
	const loop = new LoopHealth({ stall: 100, memory: 1000, beat: 50 }, () => now);
	t.after(() => loop.close());
	now = 550;
	loop.beat();
	assert.deepEqual(loop.state(), { stalled: true, worst: 500 });
	for (now = 600; now <= 1500; now += 50) loop.beat();
	assert.equal(loop.state().stalled, true, 'within the time that is remembered');
	for (; now <= 1700; now += 50) loop.beat();
	assert.deepEqual(loop.state(), { stalled: false, worst: 0 });
});

test('/readyz names the parts that are not ready', async t => {
	const missing: NotReady[] = [];
	const { get } = await open(t, { missing });
	const ready = await get('/readyz');
	assert.equal(ready.status, 200);
	assert.deepEqual(ready.json(), { ready: true });
	missing.push({ part: 'policy', reason: 'no policy was ever in force' });
	const not = await get('/readyz');
	assert.equal(not.status, 503);
	assert.deepEqual(not.json(), { ready: false, parts: [{ part: 'policy', reason: 'no policy was ever in force' }] });
});

test("/metrics is Prometheus text with our metrics and Node's", async t => {
	const { get } = await open(t);
	const answer = await get('/metrics');
	assert.equal(answer.status, 200);
	assert.match(answer.type, /^text\/plain; version=0\.0\.4/);
	assert.match(answer.text, /^sallyport_build_info\{version="0\.0\.0-test",node="v[^"]+"\} 1$/m);
	assert.match(answer.text, /^nodejs_eventloop_lag_seconds /m);
});

test('metrics that cannot be made are an error, not a crash', async t => {
	const health = new Health({
		address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
		registry: {
			contentType: 'text/plain; version=0.0.4; charset=utf-8',
			metrics: () => Promise.reject(new Error('a collector failed')),
		},
		readiness: () => [],
	});
	t.after(() => health.close());
	await health.listen();
	const { bound } = health;
	assert.ok(bound !== undefined && 'port' in bound);
	const answer = await ask({ host: '127.0.0.1', port: bound.port, path: '/metrics' });
	assert.equal(answer.status, 500);
	assert.doesNotMatch(answer.text, /collector/);
});

test('nothing else is there, and only GET and HEAD', async t => {
	const { get } = await open(t);
	for (const path of ['/', '/v1/status', '/livez/', '/LIVEZ', '/metrics/x'])
		assert.equal((await get(path)).status, 404, path);
	const post = await get('/livez', 'POST');
	assert.equal(post.status, 405);
	assert.equal(post.headers.allow, 'GET, HEAD');
	const head = await get('/readyz', 'HEAD');
	assert.equal(head.status, 200);
	assert.equal(head.text, '');
	assert.equal(head.headers['content-length'], String(JSON.stringify({ ready: true }).length + 1));
});

/** Sends bytes, and resolves with everything that came back when the connection ends. */
const raw = (port: number, bytes: string): Promise<string> =>
	new Promise(resolve => {
		let text = '';
		const socket = connect({ host: '127.0.0.1', port }, () => socket.write(bytes));
		socket.setEncoding('latin1').on('data', (chunk: string) => {
			text += chunk;
		});
		socket.on('error', () => {});
		socket.on('close', () => resolve(text));
	});

test('what cannot be read is refused, and the next good request works', async t => {
	const { port, get } = await open(t);
	assert.match(await raw(port, 'garbage\r\n\r\n'), /^HTTP\/1\.1 400 /);
	assert.match(await raw(port, '\u0016\u0003\u0001\u0002\u0000\u0001'), /^HTTP\/1\.1 400 /);
	assert.match(
		await raw(port, `GET /livez HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`),
		/^HTTP\/1\.1 431 /,
	);
	assert.equal((await get('/livez')).status, 200);
});

test('a crowd of idle connections keeps nobody out', async t => {
	const { port, get } = await open(t);
	const sockets = await Promise.all(
		Array.from(
			{ length: 200 },
			() =>
				new Promise<ReturnType<typeof connect>>(resolve => {
					const socket = connect({ host: '127.0.0.1', port }, () => resolve(socket));
					socket.on('error', () => resolve(socket));
				}),
		),
	);
	t.after(() => {
		for (const socket of sockets) socket.destroy();
	});
	assert.equal((await get('/livez')).status, 200);
});

test('health on a Unix socket', async t => {
	const path = makeWorkspace(t).path('health.sock');
	const health = new Health({
		address: { kind: 'unix', path },
		registry: createMetrics('0').registry,
		readiness: () => [],
	});
	t.after(() => health.close());
	await health.listen();
	assert.equal((await ask({ socketPath: path, path: '/readyz' })).status, 200);
});
