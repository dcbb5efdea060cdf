import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { openAudit } from '../../src/audit/audit.ts';
import { type SpoolIo, spoolIo } from '../../src/audit/io.ts';
import { verifyDirectory } from '../../src/audit/verify.ts';
import { configOf, decision, denied, depsOf, linesOf, opened, recorded, temporary } from './fixture.ts';

test('each record names the hash of the line before, over restarts too', async t => {
	const directory = await temporary(t);
	for (let run = 0; run < 3; run++) {
		const audit = await openAudit(configOf(directory), depsOf());
		await recorded(audit, decision(`d${run}`));
		audit.outcome({ decisionId: `d${run}`, cause: 'completed', durationMs: 1 });
		await audit.close();
	}
	let prev = '0'.repeat(64);
	let seq = 0;
	const chains = new Set<string>();
	for (const line of await linesOf(directory)) {
		const record = JSON.parse(line) as { seq: number; prev: string; chain: string };
		assert.equal(record.seq, ++seq);
		assert.equal(record.prev, prev);
		chains.add(record.chain);
		prev = createHash('sha256').update(line).digest('hex');
	}
	assert.equal(chains.size, 1);
	// chain; three runs of decision, outcome, checkpoint
	assert.equal(seq, 10);
	const result = await verifyDirectory(directory);
	assert.equal(result.fault, undefined);
	assert.equal(result.openCount, 0);
});

test('records of one turn are one write, made before anybody is told, and never at once', async t => {
	const directory = await temporary(t);
	const writes: number[] = [];
	const io: SpoolIo = {
		...spoolIo,
		write(fd, buffer, offset, length) {
			writes.push(length);
			return spoolIo.write(fd, buffer, offset, length);
		},
	};
	const audit = await opened(t, configOf(directory), depsOf({ io }));
	writes.length = 0;
	let told = 0;
	const all: Promise<void>[] = [];
	for (let i = 0; i < 100; i++) {
		all.push(
			new Promise(resolve =>
				audit.decision(i % 2 === 0 ? decision(`d${i}`) : denied(`d${i}`), refusal => {
					assert.equal(refusal, undefined);
					assert.equal(writes.length, 1);
					told++;
					resolve();
				}),
			),
		);
		audit.outcome({ decisionId: `d${i}`, cause: 'completed', durationMs: 1 });
	}
	assert.equal(told, 0);
	assert.equal(writes.length, 0);
	await Promise.all(all);
	assert.equal(told, 100);
	assert.equal((await linesOf(directory)).length, 201);
});

test('more than the buffer in one turn is written in parts, and everybody is told', async t => {
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory));
	const text = JSON.stringify({ x: 'y'.repeat(20_000) });
	const all = Array.from({ length: 60 }, (_, i) => recorded(audit, decision(`d${i}`, { input: { text, masks: [] } })));
	assert.deepEqual(new Set(await Promise.all(all)), new Set([undefined]));
	assert.equal((await verifyDirectory(directory)).records, 61);
});

test('a callback that throws does not keep others from being told', async t => {
	const directory = await temporary(t);
	const messages: string[] = [];
	const audit = await opened(t, configOf(directory), depsOf({ log: (_, message) => messages.push(message) }));
	audit.decision(decision('a'), () => {
		throw new Error('a bug elsewhere');
	});
	assert.equal(await recorded(audit, decision('b')), undefined);
	assert.deepEqual(messages, ['a call failed after its record was written']);
});

test('after close nothing is recorded and nothing is allowed', async t => {
	const directory = await temporary(t);
	const audit = await openAudit(configOf(directory), depsOf());
	await audit.close();
	const before = await linesOf(directory);
	assert.equal(await recorded(audit, decision('late')), 'audit_unavailable');
	audit.outcome({ decisionId: 'x', cause: 'completed', durationMs: 1 });
	await audit.flush();
	assert.deepEqual(await linesOf(directory), before);
	assert.equal(audit.unwritable, 'closed');
});

test('one process owns a directory, until it ends', async t => {
	const directory = await temporary(t);
	const first = await openAudit(configOf(directory), depsOf());
	await assert.rejects(openAudit(configOf(directory), depsOf()), /belongs to another running Sallyport/);
	await first.close();
	const second = await openAudit(configOf(directory), depsOf());
	await second.close();
});
