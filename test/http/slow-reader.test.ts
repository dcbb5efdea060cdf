import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled, startBulk } from './support-bulk.ts';
import { openStage } from './support-stage.ts';

const SIZE = 256 * 1024 ** 2;
/** Kernel buffers on both ways, and what is held between them. */
const HELD = 32 * 1024 ** 2;

for (const way of ['', '?chunked']) {
	test(`an agent that does not read holds the upstream back, and gets everything when it reads${way}`, async t => {
		const bulk = await startBulk(t);
		const stage = await openStage(t, {
			upstreams: { bulk: { address: bulk.address, hosts: ['bulk.test'], protocol: 'http' } },
		});
		await stage.good('the start');
		const before = stage.resident();
		const { socket } = await stage.wire();
		let got = 0;
		socket.removeAllListeners('data');
		socket.on('data', (text: string) => {
			got += text.length;
		});
		socket.write(
			`GET http://bulk.test:${bulk.port}/${SIZE}${way} HTTP/1.1\r\nHost: bulk.test:${bulk.port}\r\nConnection: close\r\n\r\n`,
		);
		socket.pause();
		const sent = await settled(bulk.sent);
		assert.ok(sent > 0 && sent < HELD, `the upstream sent ${sent} bytes`);
		const grown = stage.resident() - before;
		assert.ok(grown < HELD, `grew by ${grown} bytes`);
		socket.resume();
		await new Promise(resolve => socket.once('close', resolve));
		assert.ok(got > SIZE && got < SIZE * 1.01, `${got} bytes arrived`);
		await stage.quiet();
	});
}
