import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startEcho } from '../support/echo.ts';
import { startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { echoes, knock, openTunnel, reload, statusOf } from './support.ts';

test('listeners are renamed, and swap their addresses, without a moment in which a port is closed', async t => {
	const workspace = makeWorkspace(t);
	const echo = await startEcho(t);
	const agent = workspace.agent('a');
	const place = `opaque.test:${echo.port}`;
	const upstreams = { opaque: { address: echo.address, hosts: ['opaque.test'], protocol: 'tcp' } };
	const proxy = (name: string, address: string) => ({ name, address, serves: 'http_proxy' });
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams, listeners: [proxy('one', '127.0.0.1:0'), proxy('two', '127.0.0.1:0')] },
	});
	const one = sallyport.address('one');
	const two = sallyport.address('two');
	const steady = await openTunnel(t, two, place, { agent });
	const renamed = await openTunnel(t, one, place, { agent });
	const knocks = [knock(one), knock(two)];
	const sockets = [socketOf(one), socketOf(two)];

	assert.equal((await reload(workspace, { upstreams, listeners: [proxy('uno', one), proxy('two', two)] })).taken, true);
	// Policy and records knew it as what was opened at `one`, and that is nowhere now.
	await renamed.closed();
	await openTunnel(t, one, place, { agent });
	await echoes(steady, 'not renamed');

	assert.equal((await reload(workspace, { upstreams, listeners: [proxy('uno', two), proxy('two', one)] })).taken, true);
	for (const [address, name] of [
		[two, 'uno'],
		[one, 'two'],
	] as const) {
		const before = sallyport.records().length;
		await openTunnel(t, address, place, { agent });
		const { call } = await sallyport.waitForRecord(
			({ type, seq }) => type === 'decision' && seq > before,
			'the tunnel',
		);
		assert.equal(call?.['listener'], name);
	}
	await echoes(steady, 'its listener has another address');
	assert.deepEqual(
		(await statusOf(workspace)).listeners.map(({ name, address }) => [name, address]),
		[
			['uno', two],
			['two', one],
		],
	);
	for (const { stop } of knocks) {
		const { tried, failed } = await stop();
		assert.ok(tried > 10, `${tried} connections`);
		assert.equal(failed, 0, `of ${tried} connections`);
	}
	assert.deepEqual([socketOf(one), socketOf(two)], sockets, 'they are the same sockets all the time');
	const metrics = await sallyport.metrics();
	assert.doesNotMatch(metrics, /sallyport_connections\{listener="one"\}/);
});

/** The inode of the socket that listens at an IPv4 address (proc_pid_net(5)). */
function socketOf(address: string): string | undefined {
	const port = Number(address.split(':')[1]).toString(16).toUpperCase().padStart(4, '0');
	const lines = readFileSync('/proc/net/tcp', 'utf8')
		.split('\n')
		.map(line => line.trim().split(/\s+/));
	const LISTENING = '0A';
	const found = lines.find(([, local = '', , state]) => state === LISTENING && local.endsWith(`:${port}`))?.[9];
	assert.ok(found, `nothing listens at ${address}`);
	return found;
}
