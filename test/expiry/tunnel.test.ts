import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { startEcho } from '../support/echo.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';

/** A tunnel to an echo, of an agent whose SVID expires in three seconds at most. */
async function opened(t: TestContext, limits: Readonly<Record<string, unknown>>) {
	const echo = await startEcho(t);
	const stage = await openStage(t, {
		upstreams: { echo: { address: echo.address, hosts: ['echo.test'], protocol: 'tcp' } },
		limits,
	});
	const lifetime = 3000;
	const expires = Math.floor((Date.now() + lifetime) / 1000) * 1000;
	const agent = stage.workspace.issue('short', 'spiffe://example.org/agents/short', { lifetime });
	const wire = await openWire(t, stage.sallyport.address('egress'), { agent });
	wire.send(`CONNECT echo.test:${echo.port} HTTP/1.1\r\nHost: echo.test:${echo.port}\r\n\r\n`);
	await wire.receives('200 Connection Established');
	return { stage, wire, expires };
}

test('a tunnel outlives the SVID that opened it, and ends at its greatest age', async t => {
	const { stage, wire, expires } = await opened(t, { max_session_age: '7s' });
	await until(() => Date.now() > expires + 1500, 'it has expired');
	wire.send('still here');
	await wire.receives('still here');
	await wire.closed();
	assert.equal((await stage.outcome()).cause, 'session_expired');
});

test('with `close` a tunnel ends with the SVID that opened it', async t => {
	const { stage, wire, expires } = await opened(t, { on_expiry: 'close' });
	wire.send('here');
	await wire.receives('here');
	await wire.closed();
	assert.ok(Date.now() >= expires, 'not before');
	assert.equal((await stage.outcome()).cause, 'session_expired');
});
