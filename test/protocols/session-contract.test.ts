import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SessionEvent } from '../../src/protocols/contract.ts';
import { SESSION_PROTOCOLS } from '../../src/protocols/registry.ts';
import { CONVERSATIONS } from '../support/conversations.ts';
import { agent, Harness, type HarnessOptions } from '../support/session-harness.ts';

const seed = { seed: 20261, numRuns: 150 };

for (const protocol of SESSION_PROTOCOLS) {
	const conversation = CONVERSATIONS[protocol.name];

	const run = async (
		options: HarnessOptions = {},
		cuts: readonly number[] = [],
		turns = Infinity,
	): Promise<Harness> => {
		assert.ok(conversation !== undefined, `no conversation for ${protocol.name}`);
		const harness = new Harness(protocol, options);
		harness.feed({ kind: 'accepted' });
		await harness.settle();
		for (const { side, data } of conversation.turns.slice(0, turns)) await harness.bytes(side, data, cuts);
		return harness;
	};

	describe(`session protocol ${protocol.name}`, () => {
		test('passes a conversation on, byte for byte', async () => {
			const harness = await run();
			assert.deepEqual(harness.sent('toUpstream'), conversation?.upstreamGets);
			assert.ok(
				harness
					.sent('toAgent')
					.toString('latin1')
					.endsWith(conversation?.agentGetsAtTheEnd.toString('latin1') ?? '-'),
			);
			assert.ok(harness.has('opened'));
			harness.feed({ kind: 'closed', side: 'agent' });
			harness.feed({ kind: 'closed', side: 'upstream' });
			assert.equal(harness.closed?.cause, 'completed');
		});

		test('decides what the contract says of it, and before anything else', async () => {
			const harness = await run();
			const decide = harness.steps.find(step => step.kind === 'decide');
			assert.equal(decide?.call.protocol, protocol.name);
			assert.equal(decide?.call.operation, 'connect');
			assert.equal(decide?.call.effect, 'unknown');
			const kinds = harness.steps.map(step => step.kind);
			assert.ok(kinds.indexOf('startTls') < kinds.indexOf('decide'));
			assert.ok(kinds.indexOf('decide') < kinds.indexOf('dial'));
		});

		test('does not care how the bytes are cut', async () => {
			const { length } = Buffer.concat(conversation?.turns.map(turn => turn.data) ?? []);
			const everywhere = Array.from({ length }, (_, at) => at);
			const single = await run({}, everywhere);
			assert.deepEqual(single.sent('toUpstream'), conversation?.upstreamGets);
			await fc.assert(
				fc.asyncProperty(fc.array(fc.nat(length), { maxLength: 8 }), async cuts => {
					const harness = await run({}, cuts);
					assert.deepEqual(harness.sent('toUpstream'), conversation?.upstreamGets);
				}),
				seed,
			);
		});

		test('refused: nothing is dialled, nothing is sent on, and it closes with the cause', async () => {
			const harness = await run({ refuse: 'denied_by_rule' });
			assert.equal(harness.closed?.cause, 'denied_by_rule');
			assert.equal(harness.has('dial'), false);
			assert.equal(harness.has('toUpstream'), false);
		});

		test('hostile bytes from either side: never throws, never sends on what was not allowed', async () => {
			const chunk = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes));
			await fc.assert(
				fc.asyncProperty(
					fc.nat(6),
					fc.array(fc.record({ side: fc.constantFrom('agent' as const, 'upstream' as const), data: chunk }), {
						maxLength: 6,
					}),
					async (turns, chunks) => {
						const harness = await run({}, [], turns);
						// An upstream that was not dialled says nothing.
						for (const { side, data } of chunks) {
							if (side === 'agent' || harness.has('dial')) await harness.bytes(side, data);
						}
					},
				),
				seed,
			);
		});

		test('a damaged conversation: never throws', async () => {
			await fc.assert(
				fc.asyncProperty(fc.nat(4), fc.nat(200), fc.nat(255), async (turn, at, value) => {
					const harness = new Harness(protocol);
					harness.feed({ kind: 'accepted' });
					await harness.settle();
					for (const [index, { side, data }] of (conversation?.turns ?? []).entries()) {
						const damaged = Buffer.from(data);
						if (index === turn) damaged[at % damaged.length] = value;
						if (side === 'agent' || harness.has('dial')) await harness.bytes(side, damaged);
					}
				}),
				seed,
			);
		});

		test('ends at any time, in any way: one close, and with a cause', async () => {
			const endings: SessionEvent[] = [
				{ kind: 'closed', side: 'agent', error: 'ECONNRESET' },
				{ kind: 'ended', cause: 'revoked' },
				{ kind: 'refused', refused: { cause: 'upstream_unreachable' } },
			];
			for (const ending of endings) {
				for (let stop = 0; stop < 40; stop++) {
					const harness = new Harness(protocol);
					let left = stop;
					const step = async (act: () => unknown): Promise<void> => {
						if (left-- > 0 && harness.closed === undefined) await act();
					};
					await step(() => harness.feed({ kind: 'accepted' }));
					for (const { side, data } of conversation?.turns ?? []) {
						for (let question = 0; question < 4; question++) await step(() => harness.answer());
						await step(() => harness.feed({ kind: 'bytes', side, data }));
					}
					const open = harness.has('opened');
					harness.feed(ending);
					if (ending.kind !== 'refused' || !open)
						assert.ok(harness.closed !== undefined, `${ending.kind} after ${stop}`);
					if (ending.kind === 'ended') assert.equal(harness.closed?.cause, 'revoked');
				}
			}
		});

		test('an agent that is known already needs no TLS', async () => {
			const harness = new Harness(protocol, { settings: { authenticate: 'as' } });
			harness.feed({ kind: 'accepted', identity: agent });
			await harness.settle();
			for (const { side, data } of conversation?.turns ?? []) await harness.bytes(side, data);
			assert.equal(harness.has('startTls'), false);
			assert.deepEqual(harness.sent('toUpstream'), conversation?.upstreamGets);
		});
	});
}
