import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { test } from 'node:test';
import { Lookups } from '../../src/proxy/upstream/lookup.ts';

/** Look-ups that end when the test says so. */
function held(threads: number) {
	const asked: string[] = [];
	const ends = new Map<string, () => void>();
	const answer: LookupAddress[] = [{ address: '192.0.2.1', family: 4 }];
	const lookups = new Lookups(host => {
		asked.push(host);
		return new Promise(resolve => ends.set(host, () => resolve(answer)));
	}, threads);
	const find = (agent: string, host: string, more: { declared?: boolean; wanted?: () => boolean } = {}) =>
		lookups.find({ agent, host, declared: false, wanted: () => true, ...more });
	const end = async (host: string): Promise<void> => {
		ends.get(host)?.();
		await new Promise(resolve => setImmediate(resolve));
	};
	return { find, asked, end };
}

test("an agent's slow names keep neither other agents nor declared upstreams waiting", async () => {
	const { find, asked, end } = held(8);
	const slow = ['a1', 'a2', 'a3', 'a4', 'a5'].map(host => find('evil', host));
	void find('good', 'g1');
	void find('good', 'upstream', { declared: true });
	assert.deepEqual(asked, ['a1', 'g1', 'upstream']);
	await end('a1');
	assert.deepEqual(asked, ['a1', 'g1', 'upstream', 'a2']);
	assert.deepEqual(await slow[0], [{ address: '192.0.2.1', family: 4 }]);
});

test('agents take turns, and half of the threads are never theirs', async () => {
	const { find, asked, end } = held(8);
	for (const turn of [1, 2]) for (const agent of ['a', 'b', 'c', 'd', 'e']) void find(agent, `${agent}${turn}`);
	assert.deepEqual(asked, ['a1', 'b1', 'c1'], 'of eight threads four are for look-ups, and one of them is kept free');
	for (const host of ['a1', 'b1', 'c1', 'd1', 'e1']) await end(host);
	assert.deepEqual(asked, ['a1', 'b1', 'c1', 'd1', 'e1', 'a2', 'b2', 'c2']);
});

test('one that nobody waits for any more is not begun, and too many are refused', async () => {
	const { find, asked, end } = held(4);
	let wanted = true;
	void find('a', 'first');
	const left = find('a', 'left', { wanted: () => wanted });
	void find('a', 'last');
	wanted = false;
	const gone = assert.rejects(left, { code: 'ECANCELED' });
	await end('first');
	await gone;
	assert.deepEqual(asked, ['first', 'last']);
	for (let index = 0; index < 64; index++) void find('b', `b${index}`).catch(() => {});
	await assert.rejects(find('b', 'one too many'), { code: 'EBUSY' });
});
