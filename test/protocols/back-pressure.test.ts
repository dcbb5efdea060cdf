import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { tcp as protocol } from '../../src/protocols/tcp/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { connectAgent, useServer } from '../support/tcp.ts';

const CHUNK = Buffer.alloc(64 * 1024, 'x');
/** More than the buffers of every socket on the way hold together. */
const MUCH = 64 * 1024 * 1024;

/** Writes until nothing more is taken for a while; answers how much that was. */
function fill(socket: Socket): Promise<number> {
	return new Promise(resolve => {
		let written = 0;
		let timer: NodeJS.Timeout | undefined;
		const stuck = (): void => {
			socket.removeAllListeners('drain');
			resolve(written);
		};
		const go = (): void => {
			clearTimeout(timer);
			while (written < MUCH) {
				written += CHUNK.length;
				if (!socket.write(CHUNK)) break;
			}
			timer = setTimeout(stuck, 300);
		};
		socket.on('drain', go);
		go();
	});
}

test('who reads slowly slows down who writes, in both directions, and nothing is lost', async t => {
	const certs = certificates(t);
	let upstream: Socket | undefined;
	const port = await useServer(t, socket => {
		upstream = socket;
		socket.pause();
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream: port });
	const agent = await connectAgent(door.port, certs);
	agent.pause();
	await until(() => upstream !== undefined);
	if (upstream === undefined) return;

	for (const [from, to] of [
		[agent, upstream],
		[upstream, agent],
	] as const) {
		const written = await fill(from);
		assert.ok(written < MUCH, `${written} bytes were taken although nobody reads`);
		let read = 0;
		to.on('data', chunk => {
			read += chunk.length;
		});
		to.resume();
		await until(() => read === written);
		to.removeAllListeners('data');
		to.pause();
	}
	agent.raw.resetAndDestroy();
	await until(() => door.door.size === 0);
	assert.equal(door.outcomes.length, 1);
});

test('what was sent before the end arrives, however slowly it is read', async t => {
	const certs = certificates(t);
	const size = 3 * 1024 * 1024;
	const port = await useServer(t, socket => {
		socket.on('error', () => {});
		socket.end(Buffer.alloc(size, 'y'));
		socket.resume();
	});
	const door = await openDoor(t, { protocol, certificates: certs, upstream: port });
	const agent = await connectAgent(door.port, certs);
	agent.end();
	let read = 0;
	await new Promise(resolve => {
		agent.on('data', chunk => {
			read += chunk.length;
			agent.pause();
			setTimeout(() => agent.resume(), 5);
		});
		agent.on('end', resolve);
	});
	assert.equal(read, size);
	await until(() => door.door.size === 0);
	assert.deepEqual(door.outcomes, [{ cause: 'completed', bytesSent: 0, bytesReceived: size }]);
});
