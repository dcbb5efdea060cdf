import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { lowerByName, startLow } from '../../src/kernel/thread-priority.ts';

const priorities = (): Map<string, number> =>
	new Map(readdirSync('/proc/self/task').map(thread => [thread, getPriority(Number(thread))]));

test('a thread that is started low is low from its beginning, and no other one', async t => {
	const before = priorities();
	const worker = startLow(7, () => new Worker('setInterval(() => {}, 1000)', { eval: true }));
	t.after(() => worker.terminate());
	const after = priorities();
	const started = [...after].filter(([thread]) => !before.has(thread));
	assert.deepEqual(
		started.map(([, nice]) => nice),
		[7],
	);
	for (const [thread, nice] of before) assert.equal(after.get(thread), nice, thread);
	await once(worker, 'online');
	assert.equal(getPriority(Number(started[0]?.[0])), 7);
});

test('threads of a name are lowered, and the one that serves is not', () => {
	lowerByName('V8Worker', 3);
	const nices = [...priorities().values()];
	assert.ok(nices.includes(3));
	assert.equal(getPriority(process.pid), 0);
	lowerByName('nobody', 9);
	assert.ok(![...priorities().values()].includes(9));
});
