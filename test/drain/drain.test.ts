import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startEcho } from '../support/echo.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('SIGTERM with nothing open ends at once, whatever drain_timeout is', async t => {
	const workspace = makeWorkspace(t);
	const sallyport = await startSallyport(t, workspace, { config: { drain_timeout: '60s' } });
	// An idle kept-alive connection is nothing open.
	await openWire(t, sallyport.address('egress'), { agent: workspace.agent('a') });
	const before = performance.now();
	assert.deepEqual(await sallyport.stop(), { code: 0, signal: null });
	assert.ok(performance.now() - before < 10_000);
	const types = sallyport.records().map(record => record.type);
	assert.equal(types.at(-1), 'checkpoint');
});

test('SIGTERM lets a call in flight finish, refuses new ones, and turns unready', async t => {
	const workspace = makeWorkspace(t);
	let finish = (): void => {};
	const upstream = await startUpstream(t, {
		answer: (_request, response) => {
			finish = () => response.end('late');
		},
	});
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.test'], protocol: 'http' } } },
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	const call = curl([...proxy, `http://crm.test:${upstream.port}/`]);
	await upstream.request(1);
	sallyport.signal('SIGTERM');
	await until(async () => (await curl([`http://${sallyport.health()}/readyz`])).status === 503, 'unready');
	assert.notEqual((await curl([...proxy, `http://crm.test:${upstream.port}/`])).exit, 0);
	finish();
	assert.equal((await call).body, 'late');
	assert.deepEqual(await sallyport.ended(), { code: 0, signal: null });
});

test('what is still open after drain_timeout is ended, and its outcome says draining', async t => {
	const workspace = makeWorkspace(t);
	const echo = await startEcho(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			drain_timeout: '300ms',
			upstreams: { opaque: { address: echo.address, hosts: ['opaque.test'], protocol: 'tcp' } },
		},
	});
	const tunnel = await openWire(t, sallyport.address('egress'), { agent: workspace.agent('a') });
	tunnel.send(`CONNECT opaque.test:${echo.port} HTTP/1.1\r\nHost: opaque.test:${echo.port}\r\n\r\n`);
	await tunnel.receives('200 Connection Established');
	assert.deepEqual(await sallyport.stop(), { code: 0, signal: null });
	const outcome = sallyport.records().find(record => record.type === 'outcome');
	assert.equal(outcome?.cause, 'draining');
});
