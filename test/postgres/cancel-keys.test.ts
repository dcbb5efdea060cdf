import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CancelKeys } from '../../src/protocols/postgres/cancel.ts';
import { cancelRequest, frame, int32, takeFrame } from '../../src/protocols/postgres/messages.ts';
import { postgres } from '../../src/protocols/postgres/protocol.ts';
import { greeting } from '../support/conversations.ts';
import { agent, Harness } from '../support/session-harness.ts';

function startup(minor: number): Buffer {
	const body = Buffer.concat([int32(0x00030000 | minor), Buffer.from('user\0app\0\0')]);
	return Buffer.concat([int32(body.length + 4), body]);
}

async function opened(minor: number, keys: CancelKeys, upstream = greeting): Promise<Harness> {
	const harness = new Harness(postgres, { settings: { authenticate: 'as' }, shared: keys });
	harness.feed({ kind: 'accepted', identity: agent });
	await harness.bytes('agent', startup(minor));
	await harness.bytes('upstream', upstream);
	return harness;
}

/** The key that the agent was given. */
function keyOf(harness: Harness): Buffer {
	let rest = harness.sent('toAgent');
	for (;;) {
		const next = takeFrame(rest, 65_536);
		if (typeof next === 'string') return assert.fail('no key');
		if (next.type === 0x4b) return next.body;
		rest = next.rest;
	}
}

test('keys are short in protocol 3.0 and long in 3.2, whatever the upstream has', async () => {
	const long = Buffer.alloc(260, 9);
	const withLongKey = Buffer.concat([frame(0x52, int32(0)), frame(0x4b, long), frame(0x5a, Buffer.from('I'))]);
	for (const upstream of [greeting, withLongKey]) {
		const keys = new CancelKeys();
		const old = await opened(0, keys, upstream);
		const current = await opened(2, keys, upstream);
		const newest = await opened(9999, keys, upstream);
		assert.equal(keyOf(old).length, 8);
		assert.equal(keyOf(current).length, 36);
		assert.equal(keyOf(newest).length, 36);
		assert.equal(newest.sent('toAgent')[0], 0x76, 'NegotiateProtocolVersion comes first');
		assert.equal(old.sent('toUpstream').readUInt32BE(4), 0x00030000);

		const canceller = new Harness(postgres, { settings: { authenticate: 'as' }, shared: keys });
		canceller.machine.on({ kind: 'accepted', identity: agent });
		const [step] = canceller.machine.on({ kind: 'bytes', side: 'agent', data: cancelRequest(keyOf(current)) });
		assert.equal(step?.kind, 'cancel');
		const [send] = canceller.machine.on({ kind: 'dialled' });
		const key = upstream === greeting ? Buffer.concat([int32(42), int32(4711)]) : long;
		assert.deepEqual(send?.kind === 'toUpstream' ? send.data : undefined, cancelRequest(key));
	}
});

test('keys go with their sessions', async () => {
	const keys = new CancelKeys();
	const sessions = [await opened(0, keys), await opened(2, keys), await opened(0, keys)];
	assert.equal(keys.size, 3);
	sessions[0]?.feed({ kind: 'ended', cause: 'revoked' });
	sessions[1]?.feed({ kind: 'closed', side: 'upstream' });
	sessions[2]?.feed({ kind: 'closed', side: 'agent', error: 'ECONNRESET' });
	assert.equal(keys.size, 0);
});

test('a key of impossible length is not Postgres', async () => {
	for (const length of [7, 261]) {
		const keys = new CancelKeys();
		const harness = await opened(0, keys, Buffer.concat([frame(0x52, int32(0)), frame(0x4b, Buffer.alloc(length))]));
		assert.equal(harness.closed?.cause, 'upstream_reset');
		assert.equal(keys.size, 0);
	}
});
