import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { listenRaw } from '../support/wire.ts';
import { openStage } from './support-stage.ts';

const POLICY = {
	...policyOf('allow := true'),
	'response.rego':
		'package sallyport.response\n\nallow := true\n\ndeny contains "secret" if input.http.headers["x-secret"]\n',
};

/** With fsync a verdict takes longer than the upstream's next bytes. */
const SLOW = { audit: { durability: 'fsync' } };

async function judged(t: Parameters<typeof openStage>[0], serve: (socket: Socket) => void) {
	const raw = await listenRaw(t, serve);
	const stage = await openStage(t, {
		policy: POLICY,
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
		config: SLOW,
	});
	const request = (method: string): string =>
		`${method} http://raw.test:${raw.port}/ HTTP/1.1\r\nHost: raw.test:${raw.port}\r\n\r\n`;
	return { stage, request };
}

test('a verdict on an answer without a body lets nothing of the next answer on its connection through', async t => {
	const { stage, request } = await judged(t, socket => {
		socket.on('data', (data: Buffer) => {
			const head = data.toString('latin1').startsWith('HEAD');
			socket.write(
				head
					? 'HTTP/1.1 200 OK\r\n\r\n'
					: 'HTTP/1.1 200 OK\r\nx-secret: 1\r\ntransfer-encoding: chunked\r\n\r\nb\r\nSECRET-BODY\r\n0\r\n\r\n',
			);
		});
	});
	const heads = await stage.wire();
	for (let round = 0; round < 12; round++) {
		const gets = await stage.wire();
		heads.send(request('HEAD'));
		// A little later: the answer to HEAD is there, and not judged.
		await new Promise(resolve => setTimeout(resolve, 1 + (round % 3)));
		gets.send(request('GET'));
		await gets.receives(/denied_by_rule/);
		assert.equal(gets.text().includes('SECRET'), false, gets.text());
		gets.socket.destroy();
		await until(() => heads.text().split('HTTP/1.1 200').length === round + 2, 'the answer to HEAD');
	}
});

for (const [name, answer] of [
	['ends with the connection', 'HTTP/1.1 200 OK\r\n\r\nthe whole body'],
	['says its length', 'HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\nthe whole body'],
	['is of HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 14\r\n\r\nthe whole body'],
	['comes in chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ne\r\nthe whole body\r\n0\r\n\r\n'],
] as const)
	test(`a body that ${name} arrives whole, although the upstream has closed before the verdict`, async t => {
		const { stage, request } = await judged(t, socket => void socket.once('data', () => socket.end(answer)));
		for (let round = 1; round <= 5; round++) {
			const wire = await stage.wire();
			wire.send(request('GET'));
			await wire.receives(/^HTTP\/1\.1 200 [\s\S]*the whole body/);
			assert.equal((await stage.outcome(round)).cause, 'completed');
			wire.socket.destroy();
		}
	});
