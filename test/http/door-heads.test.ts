import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atDoor, curl } from '../support/curl.ts';
import { refusesEach } from './support-refusals.ts';
import { openStage } from './support-stage.ts';

test('a door takes origin form only, says the Host of its upstream, and opens no tunnels', async t => {
	const stage = await openStage(t, {
		listeners: [
			{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
			{ name: 'door', address: '127.0.0.1:0', upstream: 'tool' },
		],
	});
	const { host, origin, sallyport, tool } = stage;
	const mismatch = { status: 403, cause: 'target_mismatch' };
	const undecodable = { status: 400, cause: 'undecodable' };
	await refusesEach(
		stage,
		[
			{
				name: 'absolute form',
				bytes: `GET ${origin}/x HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
				...mismatch,
				detail: /origin form only/,
			},
			{
				name: 'another absolute form',
				bytes: 'GET http://evil.test/x HTTP/1.1\r\nHost: evil.test\r\n\r\n',
				...mismatch,
				detail: /origin form only/,
			},
			{
				name: 'CONNECT',
				bytes: `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
				...mismatch,
				detail: /no tunnels/,
			},
			{
				name: 'the asterisk',
				bytes: `OPTIONS * HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
				...undecodable,
				detail: /asterisk/,
			},
			{
				name: 'two Hosts',
				bytes: 'GET /x HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n',
				...undecodable,
				detail: /more than one Host/,
			},
			{ name: 'no Host', bytes: 'GET /x HTTP/1.1\r\n\r\n', ...undecodable, detail: /no Host/ },
			{
				name: 'an Upgrade',
				bytes: 'GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n',
				...undecodable,
				detail: /Upgrade/,
			},
			{
				name: 'a dot segment',
				bytes: 'GET /a/%2e%2e/x HTTP/1.1\r\nHost: a.test\r\n\r\n',
				...undecodable,
				detail: /dot segment/,
			},
		],
		{ listener: 'door' },
	);
	const call = await curl([
		...atDoor(stage.workspace, stage.workspace.agent('a')),
		'-H',
		'Host: elsewhere.test',
		`https://${sallyport.address('door')}/x?y=z`,
	]);
	assert.equal(call.status, 200, call.error);
	assert.equal(tool.seen[0]?.url, '/x?y=z');
	assert.equal(tool.seen[0]?.header('host'), host);
	await stage.quiet();
});
