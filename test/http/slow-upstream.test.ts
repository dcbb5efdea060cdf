import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled, startBulk } from './support-bulk.ts';
import { openStage } from './support-stage.ts';

const SIZE = 256 * 1024 ** 2;
const HELD = 32 * 1024 ** 2;
const BLOCK = 'x'.repeat(64 * 1024);

test('an upstream that does not read holds the agent back, and gets everything when it reads', async t => {
	const bulk = await startBulk(t);
	bulk.pause();
	const stage = await openStage(t, {
		upstreams: { bulk: { address: bulk.address, hosts: ['bulk.test'], protocol: 'http' } },
	});
	await stage.good('the start');
	const before = stage.resident();
	const wire = await stage.wire();
	wire.send(
		`PUT http://bulk.test:${bulk.port}/ HTTP/1.1\r\nHost: bulk.test:${bulk.port}\r\nContent-Length: ${SIZE}\r\n\r\n`,
	);
	let taken = 0;
	const more = (): void => {
		while (taken < SIZE) {
			taken += BLOCK.length;
			if (!wire.socket.write(BLOCK)) {
				wire.socket.once('drain', more);
				return;
			}
		}
	};
	more();
	const held = await settled(() => taken);
	assert.ok(held < HELD, `${held} bytes were taken from the agent`);
	const grown = stage.resident() - before;
	assert.ok(grown < HELD, `grew by ${grown} bytes`);
	bulk.resume();
	assert.match(await wire.receives(/bytes$/), new RegExp(`${SIZE} bytes`));
	await stage.quiet();
});
