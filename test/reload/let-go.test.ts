import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startEcho } from '../support/echo.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { echoes, openTunnel, reload, statusOf } from './support.ts';

test('nothing of a configuration before stays longer than what is under way on it', async t => {
	const workspace = makeWorkspace(t);
	const echo = await startEcho(t);
	const upstream = await startUpstream(t);
	const config = (turn: number) => ({
		listeners: [
			{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
			{ name: 'door', address: '127.0.0.1:0', upstream: 'opaque' },
		],
		limits: { connections: 100 + turn },
		upstreams: {
			opaque: { address: echo.address, hosts: ['opaque.test'], protocol: 'tcp' },
			crm: { address: upstream.address, hosts: ['crm.test'], protocol: 'http' },
		},
	});
	const sallyport = await startSallyport(t, workspace, { config: config(0) });
	const agent = workspace.agent('a');
	const proxy = throughProxy(workspace, sallyport.address('egress'), agent);
	const retired = async (): Promise<number | undefined> => (await statusOf(workspace)).config.retired;

	const tunnel = await openTunnel(t, sallyport.address('egress'), `opaque.test:${echo.port}`, { agent });
	for (let turn = 1; turn <= 6; turn++) {
		assert.equal((await reload(workspace, config(turn))).taken, true);
		assert.equal((await curl([...proxy, `http://crm.test:${upstream.port}/`])).status, 200);
	}
	await until(async () => (await retired()) === 1, 'only the listener of the first configuration is left');
	await echoes(tunnel, 'it is in use');
	tunnel.socket.end();
	// No further reload is needed.
	await until(async () => (await retired()) === undefined, 'nothing is left');
	assert.match(
		await sallyport.metrics(),
		/^sallyport_upstream_connections 1$/m,
		'one idle connection, of the last call',
	);
});
