import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenCalls } from '../../src/audit/open-calls.ts';
import { DecisionIds } from '../../src/policy/decision-id.ts';

/** Numbers that are the same in every run (a linear congruential generator). */
function numbers(seed: number): (below: number) => number {
	let state = seed;
	return below => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return state % below;
	};
}

test('calls that come and go by the thousand: what is open is what was opened and not ended', () => {
	const next = numbers(1);
	const ids = new DecisionIds();
	const calls = new OpenCalls(100_000);
	const open = new Set<string>();
	const list: string[] = [];
	for (let step = 0; step < 60_000; step++) {
		// More and more, then fewer and fewer; now and then an id that ends in the same characters as others.
		if (next(100) < (step < 30_000 ? 60 : 40)) {
			const id = next(10) === 0 ? `${next(1_000_000)}-00000000` : ids.next(step);
			calls.add(id);
			if (!open.has(id)) list.push(id);
			open.add(id);
		} else if (list.length > 0) {
			const at = next(list.length);
			const id = list[at] ?? '';
			const last = list.pop();
			if (last !== undefined && at < list.length) list[at] = last;
			calls.delete(id);
			open.delete(id);
		}
		assert.equal(calls.size, open.size);
	}
	assert.ok(open.size > 100);
	assert.deepEqual([...calls].sort(), [...open].sort());
	for (const id of open) calls.delete(id);
	assert.equal(calls.size, 0);
	assert.deepEqual([...calls], []);
});

test('twice the same, what was never there, and more than it remembers', () => {
	const calls = new OpenCalls(3);
	for (const id of ['a', 'b', 'a', 'c', 'd']) calls.add(id);
	assert.deepEqual([...calls].sort(), ['a', 'b', 'c']);
	calls.delete('d');
	calls.delete('a');
	calls.delete('a');
	assert.equal(calls.size, 2);
	calls.add('d');
	assert.deepEqual([...calls].sort(), ['b', 'c', 'd']);
});
