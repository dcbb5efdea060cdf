import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { CallEnd, StreamEvents, WorkloadClient } from '../../src/identity/sources/workload-client.ts';
import { WorkloadStream } from '../../src/identity/sources/workload-stream.ts';

/** When a stream is opened again, with the clock in hand. */

interface Played {
	readonly stream: WorkloadStream;
	/** Calls so far. */
	calls(): number;
	readonly cancelled: number[];
	readonly ends: CallEnd[];
	/** The call that is open. */
	now(): StreamEvents;
	/** How long it takes until the next call, in steps of 50 ms. */
	pause(): number;
}

function play(t: TestContext): Played {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const opened: StreamEvents[] = [];
	const cancelled: number[] = [];
	const ends: CallEnd[] = [];
	const client: WorkloadClient = {
		stream(_method, events) {
			const index = opened.push(events) - 1;
			return () => void cancelled.push(index);
		},
		call: async () => ({ code: 12, details: '' }),
	};
	const stream = new WorkloadStream(client, 'FetchX509SVID', { message: () => {}, down: end => void ends.push(end) });
	t.after(() => stream.close());
	stream.open();
	return {
		stream,
		calls: () => opened.length,
		cancelled,
		ends,
		now() {
			const last = opened.at(-1);
			assert.ok(last);
			return last;
		},
		pause() {
			const before = opened.length;
			let waited = 0;
			for (; opened.length === before && waited < 60_000; waited += 50) t.mock.timers.tick(50);
			assert.equal(opened.length, before + 1);
			return waited;
		},
	};
}

const AWAY = { code: 14, details: 'away' } as const;
const NONE = { code: 7, details: 'no identity issued' } as const;

test('failures are followed by pauses that double, up to ten seconds', t => {
	const { now, pause } = play(t);
	for (const expected of [500, 1000, 2000, 4000, 8000, 10_000, 10_000]) {
		now().end(expected % 1000 === 0 ? AWAY : NONE);
		const waited = pause();
		assert.ok(waited >= expected * 0.8 - 50 && waited <= expected * 1.2 + 50, `${waited} for ${expected}`);
	}
});

test('a stream that gave something is opened again at once, but not again and again', t => {
	const { now, pause } = play(t);
	now().message(Buffer.alloc(0));
	now().end({ code: 0, details: '' });
	assert.equal(pause(), 50);
	now().message(Buffer.alloc(0));
	now().end({ code: 0, details: '' });
	assert.ok(pause() >= 400, 'it broke a moment after it was opened');
});

test('PermissionDenied in the middle is no break: it is followed by a pause', t => {
	const { now, pause } = play(t);
	now().message(Buffer.alloc(0));
	now().end(NONE);
	assert.ok(pause() >= 400);
});

test('after InvalidArgument and Unimplemented nothing is tried, until it is opened again', t => {
	for (const code of [3, 12]) {
		const { stream, now, calls, ends } = play(t);
		now().end({ code, details: '' });
		t.mock.timers.tick(3_600_000);
		assert.equal(calls(), 1);
		assert.equal(ends.length, 1);
		stream.open();
		assert.equal(calls(), 2);
		stream.close();
		t.mock.timers.reset();
	}
});

test('who says nothing for half a minute is given up, and asked again', t => {
	const { calls, cancelled, ends, pause } = play(t);
	t.mock.timers.tick(29_999);
	assert.deepEqual([calls(), ends.length], [1, 0]);
	t.mock.timers.tick(1);
	assert.deepEqual(cancelled, [0]);
	assert.deepEqual(ends, [{ code: 14, details: 'no answer within 30 s' }]);
	assert.ok(pause() >= 400);
});

test('one that is closed is not opened again', t => {
	const { stream, now, calls, cancelled } = play(t);
	stream.close();
	assert.deepEqual(cancelled, [0]);
	now().end(AWAY);
	t.mock.timers.tick(3_600_000);
	assert.equal(calls(), 1);
});
