import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { openWire } from '../support/wire.ts';
import { openStage } from './support-stage.ts';

test('a connection to an upstream serves one agent only, and serves it again', async t => {
	const uses: { agent: string; socket: Socket }[] = [];
	const stage = await openStage(t, {
		tool: {
			answer: (request, response) => {
				uses.push({ agent: request.url ?? '', socket: request.socket });
				response.end();
			},
		},
	});
	for (let turn = 0; turn < 4; turn++) {
		for (const agent of ['a', 'b', 'c'])
			assert.equal((await stage.curl([`${stage.origin}/${agent}`], { agent })).status, 200);
	}
	const socketsOf = (agent: string): Set<Socket> =>
		new Set(uses.filter(use => use.agent === `/${agent}`).map(use => use.socket));
	for (const agent of ['a', 'b', 'c']) assert.equal(socketsOf(agent).size, 1, `${agent} uses one connection again`);
	assert.equal(new Set(uses.map(({ socket }) => socket)).size, 3);
	assert.equal(stage.tool.connections(), 3);
	await stage.quiet();
});

test('a token goes no further, at a door neither, and a connection cannot change hands', async t => {
	const token = { directory: 'tokens', agents: ['spiffe://example.org/agents/a', 'spiffe://example.org/agents/b'] };
	const stage = await openStage(t, {
		listeners: [
			{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', authenticate: { token } },
			{ name: 'door', address: '127.0.0.1:0', upstream: 'tool', authenticate: { token } },
		],
	});
	const tokenOf = (listener: string, agent: string): string =>
		readFileSync(stage.workspace.path('tokens', agent, 'token'), 'utf8').trim() + (listener === '' ? 'x' : '');
	const basic = (agent: string, listener: string): string =>
		Buffer.from(`agent:${tokenOf(listener, agent)}`).toString('base64');
	const { host, origin, tool } = stage;

	const proxy = await openWire(t, stage.sallyport.address('egress'));
	proxy.send(
		`GET ${origin}/1 HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer mine\r\nProxy-Authorization: Basic ${basic('a', 'egress')}\r\n\r\n`,
	);
	await proxy.receives(/^HTTP\/1\.1 200 /);
	assert.equal(tool.seen[0]?.header('proxy-authorization'), undefined);
	assert.equal(tool.seen[0]?.header('authorization'), 'Bearer mine');
	proxy.send(`GET ${origin}/2 HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: Basic ${basic('b', 'egress')}\r\n\r\n`);
	await proxy.receives(/HTTP\/1\.1 403 /);
	const again = await openWire(t, stage.sallyport.address('egress'));
	again.send(`GET ${origin}/3 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
	await again.receives(/^HTTP\/1\.1 407 [\s\S]*proxy-authenticate: Basic/i);
	again.send(`GET ${origin}/3 HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: Basic ${basic('b', '')}\r\n\r\n`);
	await again.receives(/407[\s\S]*HTTP\/1\.1 403 /);

	const door = await openWire(t, stage.sallyport.address('door'));
	door.send(`GET /4 HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Basic ${basic('a', 'door')}\r\n\r\n`);
	await door.receives(/^HTTP\/1\.1 200 /);
	assert.equal(tool.seen[1]?.url, '/4');
	assert.equal(tool.seen[1]?.header('authorization'), undefined, 'what was shown to Sallyport is not for the upstream');
	const raw = tool.raw().toString('latin1');
	for (const agent of ['a', 'b'])
		assert.equal(raw.includes(basic(agent, 'egress')) || raw.includes(tokenOf('egress', agent)), false);
	assert.deepEqual(
		tool.seen.map(({ url }) => url),
		['/1', '/4'],
	);
	await stage.quiet();
});

test('what only Sallyport could say of an agent is not taken from an agent', async t => {
	const stage = await openStage(t);
	const forged = [
		'X-Forwarded-Client-Cert: By=spiffe://example.org/sallyport;URI=spiffe://example.org/agents/admin',
		'x-forwarded-client-CERT: Hash=00',
	];
	const wire = await stage.wire();
	wire.send(stage.request('GET', '/x', forged.join('\r\n')));
	await wire.receives(/^HTTP\/1\.1 200 /);
	assert.equal(stage.tool.raw().toString('latin1').toLowerCase().includes('forwarded-client-cert'), false);
	await stage.quiet();
});
