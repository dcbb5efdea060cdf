import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEcho } from '../support/echo.ts';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('what policy allows but nobody declared is dialled at public addresses only, by request and by CONNECT', async t => {
	const echo = await startEcho(t);
	const stage = await openStage(t, { limits: { dial: '2s' } });
	const { sallyport, tool } = stage;
	const targets: readonly (readonly [host: string, port: number])[] = [
		['127.0.0.1', tool.port],
		['127.255.255.254', tool.port],
		['localhost', tool.port],
		['LOCALHOST', tool.port],
		['localhost.', tool.port],
		['0.0.0.0', tool.port],
		['[::1]', tool.port],
		['[::]', tool.port],
		['[::ffff:127.0.0.1]', tool.port],
		['[0:0:0:0:0:ffff:7f00:1]', tool.port],
		['127.0.0.1', echo.port],
		['10.1.2.3', 80],
		['172.16.0.1', 80],
		['192.168.1.1', 80],
		['100.64.0.1', 80],
		['169.254.169.254', 80],
		['[fd00:ec2::254]', 80],
		['[fe80::1]', 80],
		['[fc00::1]', 80],
		['[64:ff9b::7f00:1]', 80],
		['[2002:7f00:1::]', 80],
		['224.0.0.1', 80],
		['255.255.255.255', 80],
		['127.0.0.1', Number(sallyport.address('egress').split(':')[1])],
		['127.0.0.1', Number(sallyport.health().split(':')[1])],
	];
	for (const [host, port] of targets) {
		const place = `${host}:${port}`;
		const asked = await stage.wire();
		asked.send(`GET http://${place}/latest/meta-data/ HTTP/1.1\r\nHost: ${place}\r\n\r\n`);
		assert.match(await asked.receives('\r\n\r\n'), /^HTTP\/1\.1 403 Forbidden address_forbidden /, `GET ${place}`);
		asked.socket.destroy();
		const tunnel = await stage.wire();
		tunnel.send(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`);
		assert.match(await tunnel.receives('\r\n\r\n'), /^HTTP\/1\.1 403 Forbidden address_forbidden /, `CONNECT ${place}`);
		tunnel.socket.destroy();
	}
	assert.equal(tool.connections() + echo.connections(), 0);
	// Each was allowed by policy, and each has an outcome that says what became of it.
	const last = await stage.outcome(targets.length * 2);
	assert.equal(last.cause, 'address_forbidden');
	assert.ok(
		sallyport
			.records()
			.filter(({ type }) => type === 'outcome')
			.every(({ cause }) => cause === 'address_forbidden'),
	);
	await stage.good('all of them');
	await stage.quiet();
});

test('a name that does not resolve is an upstream that is not there', async t => {
	const stage = await openStage(t);
	const call = await stage.curl(['http://nobody.invalid/']);
	assert.equal(call.status, 502);
	assert.equal(call.json()['cause'], 'name_unresolved');
	assert.equal((await stage.outcome()).cause, 'name_unresolved');
	await stage.good('it');
	await stage.quiet();
});

test('a declared upstream with an address of Sallyport is dialled neither by request nor by tunnel', async t => {
	const probe = await openStage(t);
	const port = probe.sallyport.address('egress').split(':')[1];
	await probe.sallyport.stop();
	const stage = await openStage(t, {
		workspace: probe.workspace,
		listeners: [{ name: 'egress', address: `127.0.0.1:${port}`, serves: 'http_proxy' }],
		upstreams: { self: { address: `localhost:${port}`, hosts: ['self.test'], protocol: 'http', tunnel: 'allow' } },
	});
	const call = await stage.curl([`http://self.test:${port}/`]);
	assert.equal(call.json()['cause'], 'address_forbidden', call.body);
	const tunnel = await stage.curl(['-p', `http://self.test:${port}/`]);
	assert.equal(tunnel.status, 403, tunnel.error);
	assert.equal(stage.decisions().at(-1)?.call?.['protocol'], 'tunnel');
	const ended = () => stage.sallyport.records().filter(({ type }) => type === 'outcome');
	await until(() => ended().length === 2, 'both outcomes');
	const outcomes = ended();
	assert.deepEqual(
		outcomes.map(({ cause }) => cause),
		['address_forbidden', 'address_forbidden'],
	);
	await stage.good('it');
	await stage.quiet();
});
