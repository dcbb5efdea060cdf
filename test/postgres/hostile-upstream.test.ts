import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frame, int32, startupMessage } from '../../src/protocols/postgres/messages.ts';
import { postgres } from '../../src/protocols/postgres/protocol.ts';
import { greeting } from '../support/conversations.ts';
import { agent, Harness } from '../support/session-harness.ts';

const PASSWORD = 'hold-this-secret';
const startup = startupMessage(new Map([['user', 'asked']]));
const auth = (kind: number, rest: string | Buffer = ''): Buffer => frame(0x52, int32(kind), Buffer.from(rest));

async function dialled(upstreamTls: boolean): Promise<Harness> {
	const harness = new Harness(postgres, {
		settings: { authenticate: 'as', upstreamTls, credential: () => ({ username: 'app', password: PASSWORD }) },
	});
	harness.feed({ kind: 'accepted', identity: agent });
	await harness.bytes('agent', startup);
	if (upstreamTls) await harness.bytes('upstream', Buffer.from('S'));
	return harness;
}

/** Whether the agent was told that it is in. */
const letIn = (harness: Harness): boolean => harness.sent('toAgent').includes(auth(0));

test('whatever an upstream says: no throw, and the password goes nowhere but inside TLS', async () => {
	const text = fc.oneof(
		fc.constant('SCRAM-SHA-256\0\0'),
		fc.constant('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'),
		fc.constant('r=x,s=c2FsdA==,i=4096'),
		fc.constant('v=AAAA'),
		fc.string({ maxLength: 40 }),
	);
	const message = fc.oneof(
		fc.tuple(fc.constantFrom(0, 3, 5, 7, 10, 11, 12, 99), text).map(([kind, rest]) => auth(kind, rest)),
		fc
			.tuple(fc.constantFrom(0x45, 0x4b, 0x4e, 0x53, 0x5a, 0x76, 0x44), fc.uint8Array({ maxLength: 40 }))
			.map(([type, body]) => frame(type, Buffer.from(body))),
		fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)),
	);
	await fc.assert(
		fc.asyncProperty(fc.boolean(), fc.array(message, { maxLength: 6 }), async (tls, messages) => {
			const harness = await dialled(tls);
			for (const data of messages) await harness.bytes('upstream', data);
			assert.equal(harness.sent('toAgent').includes(PASSWORD), false);
			if (!tls) assert.equal(harness.sent('toUpstream').includes(PASSWORD), false);
		}),
		{ seed: 20262, numRuns: 400 },
	);
});

test('SCRAM that ends before the upstream has proved itself lets nobody in', async () => {
	const challenge = (harness: Harness): Buffer => {
		const sent = harness.sent('toUpstream').toString('latin1');
		const nonce = /n,,n=,r=([^,]+)$/.exec(sent)?.[1] ?? assert.fail('no nonce');
		return auth(11, `r=${nonce}more,s=c2FsdHNhbHQ=,i=4096`);
	};
	const early = await dialled(true);
	await early.bytes('upstream', auth(10, 'SCRAM-SHA-256\0\0'));
	await early.bytes('upstream', auth(0));
	assert.match(early.closed?.error ?? '', /before it proved itself/);

	const halfway = await dialled(true);
	await halfway.bytes('upstream', auth(10, 'SCRAM-SHA-256\0\0'));
	await halfway.bytes('upstream', Buffer.concat([challenge(halfway), auth(0)]));
	assert.match(halfway.closed?.error ?? '', /before it proved itself/);

	const impostor = await dialled(true);
	await impostor.bytes('upstream', auth(10, 'SCRAM-SHA-256\0\0'));
	await impostor.bytes('upstream', challenge(impostor));
	await impostor.bytes('upstream', auth(12, `v=${Buffer.alloc(32).toString('base64')}`));
	assert.match(impostor.closed?.error ?? '', /does not know the password/);

	const switching = await dialled(true);
	await switching.bytes('upstream', auth(10, 'SCRAM-SHA-256\0\0'));
	await switching.bytes('upstream', auth(3));
	assert.match(switching.closed?.error ?? '', /out of turn/);

	for (const harness of [early, halfway, impostor, switching]) {
		assert.equal(letIn(harness), false);
		assert.equal(harness.closed?.cause, 'upstream_unreachable');
		assert.equal(harness.sent('toUpstream').includes(PASSWORD), false);
	}
});

test('an upstream that wants SCRAM with channel binding alone, or another method, is refused', async () => {
	for (const [data, problem] of [
		[auth(10, 'SCRAM-SHA-256-PLUS\0\0'), /does not offer SCRAM-SHA-256/],
		[auth(7), /method 7/],
		[auth(5, 'abc'), /out of turn/],
		[frame(0x52, Buffer.from('x')), /malformed/],
	] as const) {
		const harness = await dialled(true);
		await harness.bytes('upstream', data);
		assert.match(harness.closed?.error ?? '', problem);
	}
});

test('messages have a greatest length, and an order', async () => {
	const long = Buffer.alloc(5);
	long[0] = 0x45;
	long.writeUInt32BE(0x7fffffff, 1);
	for (const data of [
		long,
		frame(0x5a, Buffer.from('I')),
		frame(0x4b, int32(1), int32(2)),
		frame(0x44, Buffer.alloc(4)),
	]) {
		const harness = await dialled(true);
		await harness.bytes('upstream', data);
		assert.equal(harness.closed?.cause, 'upstream_reset');
		assert.equal(letIn(harness), false);
	}
});

test('what an agent sends ahead is held within its limit, and goes on when the session is open', async () => {
	const ahead = frame(0x51, Buffer.from('select 1\0'));
	const harness = await dialled(true);
	await harness.bytes('agent', ahead);
	assert.equal(harness.sent('toUpstream').includes(ahead), false, 'not while Sallyport authenticates');
	await harness.bytes('upstream', greeting);
	assert.ok(harness.sent('toUpstream').toString('latin1').endsWith(ahead.toString('latin1')));

	const flood = await dialled(true);
	await flood.bytes('agent', Buffer.alloc(65_537));
	assert.equal(flood.closed?.cause, 'limit_exceeded');
});

test('without credentials, only what cannot be bound to a channel is offered to the agent', async () => {
	const harness = new Harness(postgres, { settings: { authenticate: 'as' } });
	harness.feed({ kind: 'accepted', identity: agent });
	await harness.bytes('agent', startup);
	await harness.bytes('upstream', auth(10, 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'));
	assert.deepEqual(harness.sent('toAgent'), auth(10, 'SCRAM-SHA-256\0\0'));
	const answer = frame(0x70, Buffer.from('anything of its own'));
	await harness.bytes('agent', answer);
	assert.ok(harness.sent('toUpstream').includes(answer));
});
