import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';

/** A stage, and a connection of an agent whose SVID expires in so many milliseconds, to the second. */
async function opened(t: TestContext, lifetime: number, options: Parameters<typeof openStage>[1] = {}) {
	const stage = await openStage(t, options);
	const expires = Math.floor((Date.now() + lifetime) / 1000) * 1000;
	const agent = stage.workspace.issue('short', 'spiffe://example.org/agents/short', { lifetime });
	const wire = await openWire(t, stage.sallyport.address('egress'), { agent });
	return { stage, wire, expires };
}

test('an idle connection ends when the SVID that opened it expires', async t => {
	const { stage, wire, expires } = await opened(t, 4000);
	wire.send(stage.request('GET', '/'));
	await wire.receives(/HTTP\/1\.1 200 /);
	assert.equal(wire.text().toLowerCase().includes('connection: close'), false, 'there is time still');
	await wire.closed();
	assert.ok(Date.now() >= expires - 1000, 'not before');
	await stage.good('the end of the connection');
});

test('an answer shortly before the end says that the connection closes', async t => {
	const { stage, wire, expires } = await opened(t, 12_000);
	wire.send(stage.request('GET', '/early'));
	await wire.receives(/\/early/);
	assert.doesNotMatch(wire.text(), /connection: close/i);
	await until(() => Date.now() > expires - 1000, 'the last second');
	wire.send(stage.request('GET', '/late'));
	const answer = await wire.closed();
	assert.match(answer, /\/late/);
	assert.match(answer, /connection: close\r\n/i);
});

test('a call that is under way goes on to its end, and is the last', async t => {
	let finish = (): void => {};
	const { stage, wire, expires } = await opened(t, 3000, {
		tool: {
			answer: (_request, response) => {
				response.writeHead(200, { 'content-length': '8' });
				response.write('half');
				finish = () => response.end('done');
			},
		},
	});
	wire.send(stage.request('GET', '/slow'));
	await wire.receives('half');
	await until(() => Date.now() > expires + 700, 'it has expired');
	finish();
	assert.match(await wire.closed(), /halfdone$/);
	assert.equal((await stage.outcome()).cause, 'completed');
});

test('with `close` a call that is under way is aborted on both sides', async t => {
	let upstreamClosed = false;
	const { stage, wire } = await opened(t, 3000, {
		limits: { on_expiry: 'close' },
		tool: {
			answer: (_request, response) => {
				response.write('half');
				response.on('close', () => {
					upstreamClosed = true;
				});
			},
		},
	});
	wire.send(stage.request('GET', '/slow'));
	await wire.receives('half');
	await wire.closed();
	assert.equal((await stage.outcome()).cause, 'session_expired');
	await until(() => upstreamClosed, 'the upstream is told');
	await stage.quiet();
});
