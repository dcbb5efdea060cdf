import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame } from '../../src/protocols/postgres/messages.ts';
import { ready } from '../support/conversations.ts';
import type { Harness } from '../support/session-harness.ts';
import { openedSession } from './opened.ts';

/** Why it ended; undefined while it goes on. */
const endOf = ({ closed }: Harness): string | undefined => closed?.cause;

const query = frame(0x51, Buffer.from('select 1\0'));
const inTransaction = frame(0x5a, Buffer.from('T'));

test('a session ends at once when nothing is under way, and else behind the last answer outside a transaction', async () => {
	const idle = await openedSession();
	idle.feed({ kind: 'expired' });
	assert.equal(endOf(idle), 'session_expired');

	const busy = await openedSession();
	await busy.bytes('agent', Buffer.concat([query, query]));
	busy.feed({ kind: 'expired' });
	assert.equal(endOf(busy), undefined);
	await busy.bytes('upstream', ready);
	assert.equal(endOf(busy), undefined, 'the second has no answer');
	await busy.bytes('upstream', inTransaction);
	assert.equal(endOf(busy), undefined, 'a transaction is open');
	await busy.bytes('agent', query);
	await busy.bytes('upstream', ready);
	assert.equal(endOf(busy), 'session_expired');
});

test('a message that is never sent whole keeps no session open', async () => {
	const harness = await openedSession();
	await harness.bytes('agent', Buffer.concat([query, query.subarray(0, 1)]));
	harness.feed({ kind: 'expired' });
	await harness.bytes('upstream', ready);
	assert.equal(endOf(harness), 'session_expired');
});

test('messages that the server does not answer keep it open for a while only', async () => {
	const harness = await openedSession();
	const sync = frame(0x53);
	await harness.bytes('agent', Buffer.concat([query, sync, sync, sync, frame(0x63)]));
	await harness.bytes('upstream', ready);
	harness.feed({ kind: 'expired' });
	harness.feed({ kind: 'tick', now: 1000 });
	await harness.bytes('agent', query);
	await harness.bytes('upstream', ready);
	harness.feed({ kind: 'tick', now: 20_000 });
	assert.equal(endOf(harness), undefined);
	await harness.bytes('agent', query);
	harness.feed({ kind: 'tick', now: 32_000 });
	await harness.bytes('upstream', inTransaction);
	assert.equal(endOf(harness), undefined, 'never in the middle of a transaction');
	await harness.bytes('upstream', ready);
	assert.equal(endOf(harness), 'session_expired');
});
