import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { startEcho } from '../support/echo.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';

/** Milliseconds; a token is good for twice as long. */
const ROTATE = 1500;

test('what is asked for by a renewed token is recorded with it, and ends with it', async t => {
	const echo = await startEcho(t);
	const token = { directory: 'tokens', agents: ['spiffe://example.org/agents/a'], rotate: `${ROTATE}ms` };
	const stage = await openStage(t, {
		limits: { on_expiry: 'close' },
		upstreams: { echo: { address: echo.address, hosts: ['echo.test'], protocol: 'tcp' } },
		listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', authenticate: { token } }],
	});
	const file = stage.workspace.path('tokens', 'a', 'token');
	const read = (): string => readFileSync(file, 'utf8');
	const shown = (secret: string): string => `Proxy-Authorization: Bearer ${secret}`;
	const renewed = async (before: string): Promise<string> => {
		await until(() => read() !== before, 'the token is renewed');
		return read();
	};

	const first = await renewed(read());
	const wire = await openWire(t, stage.sallyport.address('egress'));
	wire.send(stage.request('GET', '/1', shown(first)));
	await wire.receives(/HTTP\/1\.1 200 /);
	const second = await renewed(first);
	const end = statSync(file).mtimeMs + 2 * ROTATE;
	wire.send(stage.request('GET', '/2', shown(second)));
	await until(() => wire.text().split('HTTP/1.1 200 ').length === 3, 'the second answer');
	wire.send(`CONNECT echo.test:${echo.port} HTTP/1.1\r\nHost: echo.test:${echo.port}\r\n${shown(second)}\r\n\r\n`);
	await wire.receives('200 Connection Established');
	const fingerprints = [first, second, second].map(secret =>
		createHash('sha256').update(secret).digest('hex').slice(0, 16),
	);
	assert.deepEqual(
		stage.decisions().map(({ call }) => call?.['token']),
		fingerprints,
	);
	await wire.closed();
	assert.ok(Date.now() >= end, 'not with the token that the connection began with');
	assert.equal((await stage.outcome(3)).cause, 'session_expired');
});
