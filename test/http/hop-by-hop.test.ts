import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenRaw } from '../support/wire.ts';
import { openStage } from './support-stage.ts';

const HOP = [
	'connection',
	'keep-alive',
	'proxy-connection',
	'te',
	'trailer',
	'upgrade',
	'proxy-authorization',
	'x-one',
	'x-two',
	'x-three',
];

test('fields of one hop are taken off on both ways, those that Connection nominates too', async t => {
	let asked = '';
	const raw = await listenRaw(t, socket => {
		socket.on('data', (chunk: Buffer) => {
			asked += chunk.toString('latin1');
			socket.write(
				[
					...[
						'HTTP/1.1 200 OK',
						'Content-Length: 2',
						'Connection: X-Hop, keep-alive',
						'Connection: x-other',
						'X-Hop: 1',
						'X-Other: 1',
					],
					...[
						'Keep-Alive: timeout=77',
						'Proxy-Connection: keep-alive',
						'Proxy-Authenticate: Basic',
						'Trailer: X-T',
						'Upgrade: h2c',
					],
					...['X-End: yes', 'Set-Cookie: a=1', 'Set-Cookie: b=2', 'X-Caf\xc3\xa9: no', '', 'ok'],
				]
					.filter(line => !line.startsWith('X-Caf'))
					.join('\r\n'),
			);
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const host = `raw.test:${raw.port}`;
	const wire = await stage.wire();
	wire.send(
		Buffer.from(
			[
				...[
					`GET http://${host}/ HTTP/1.1`,
					`Host: ${host}`,
					'Connection: keep-alive, X-One',
					'Connection: x-two,close-not, X-Three',
				],
				...[
					'X-One: 1',
					'X-Two: 2',
					'X-Three: 3',
					'Keep-Alive: timeout=5',
					'Proxy-Connection: keep-alive',
					'TE: trailers',
					'Trailer: x',
				],
				...[
					'Proxy-Authorization: Basic c2VjcmV0',
					'X-Forwarded-Client-Cert: By=spiffe://example.org/fake',
					'X-Name: caf\xc3\xa9',
				],
				...['Cookie: a=1', 'Cookie: b=2', 'X-End: yes', 'X-Empty:', '', ''],
			].join('\r\n'),
			'latin1',
		),
	);
	const answer = await wire.receives(/ok$/);
	const names = asked
		.split('\r\n')
		.slice(1, -2)
		.map(line => line.split(':', 1)[0]?.toLowerCase());
	for (const name of HOP) assert.ok(!names.includes(name), `${name} went upstream`);
	assert.ok(!names.includes('x-forwarded-client-cert'));
	assert.doesNotMatch(asked, /^connection:/im);
	assert.match(asked, /^x-end: yes\r$/im);
	assert.match(asked, /^x-empty: ?\r$/im);
	assert.match(asked, /^x-name: caf\xc3\xa9\r$/im, 'bytes beyond ASCII arrive as they were sent');
	assert.equal(asked.match(/^cookie: /gim)?.length, 2);
	assert.deepEqual(asked.match(/^host: .*$/gim), [`host: ${host}`]);

	assert.doesNotMatch(answer, /^(x-hop|x-other|proxy-connection|proxy-authenticate|trailer|upgrade):/im);
	assert.doesNotMatch(answer, /timeout=77/);
	assert.match(answer, /^x-end: yes\r$/im);
	assert.deepEqual(answer.match(/^set-cookie: .*$/gim), ['Set-Cookie: a=1', 'Set-Cookie: b=2']);
	await stage.quiet();
});
