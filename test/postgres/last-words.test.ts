import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame, sqlState, takeFrame } from '../../src/protocols/postgres/messages.ts';
import { ready } from '../support/conversations.ts';
import type { Harness } from '../support/session-harness.ts';
import { openedSession } from './opened.ts';

/** What the agent was sent for `act` alone. */
function saidBy(harness: Harness, act: () => void): Buffer {
	const before = harness.sent('toAgent').length;
	act();
	return harness.sent('toAgent').subarray(before);
}

const row = frame(0x44, Buffer.alloc(40, 7));
const words = (said: Buffer): string => {
	const message = takeFrame(said, 65_536);
	return typeof message === 'string' ? '' : `${String.fromCharCode(message.type)} ${sqlState(message.body)}`;
};

test('a session that ends between two messages says FATAL 57P01, however the bytes came', async () => {
	const answer = Buffer.concat([row, ready]);
	const rows = await openedSession();
	await rows.bytes('upstream', row);
	assert.equal(
		words(saidBy(rows, () => rows.feed({ kind: 'ended', cause: 'revoked' }))),
		'E 57P01',
		'between two rows',
	);
	for (const cuts of [[], [answer.length - 1], [answer.length - 3], Array.from(answer, (_, at) => at)]) {
		const harness = await openedSession();
		assert.equal(words(saidBy(await openedSession(), () => {})), '');
		await harness.bytes('upstream', answer, cuts);
		assert.equal(words(saidBy(harness, () => harness.feed({ kind: 'ended', cause: 'revoked' }))), 'E 57P01');
		assert.equal(harness.closed?.cause, 'revoked');
	}
	const fresh = await openedSession();
	assert.equal(words(saidBy(fresh, () => fresh.feed({ kind: 'ended', cause: 'draining' }))), 'E 57P01');
});

test('in the middle of a message it says nothing', async () => {
	for (const part of [row.subarray(0, 10), row.subarray(0, 5), Buffer.concat([ready, row.subarray(0, 3)])]) {
		const harness = await openedSession();
		await harness.bytes('upstream', part);
		assert.equal(saidBy(harness, () => harness.feed({ kind: 'ended', cause: 'revoked' })).length, 0);
		assert.equal(harness.closed?.cause, 'revoked');
	}
});

test('an upstream that closes after Terminate has completed, one that closes before has broken off', async () => {
	const terminate = frame(0x58);
	for (const [sent, cause] of [
		[[terminate], 'completed'],
		[[terminate.subarray(0, 2), terminate.subarray(2)], 'completed'],
		[[frame(0x51, Buffer.from('select 1\0'))], 'upstream_reset'],
	] as const) {
		const harness = await openedSession();
		for (const data of sent) await harness.bytes('agent', data);
		harness.feed({ kind: 'closed', side: 'upstream' });
		assert.equal(harness.closed?.cause, cause);
	}
});
