import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAudit } from '../../src/audit/audit.ts';
import { verifyDirectory } from '../../src/audit/verify.ts';
import {
	configOf,
	decision,
	denied,
	depsOf,
	linesOf,
	opened,
	recorded,
	recordsOf,
	segmentsOf,
	temporary,
} from './fixture.ts';

/** A directory as a killed run leaves it: no close, but the lock is free. */
async function killed(config: ReturnType<typeof configOf>, ids: readonly string[]): Promise<void> {
	const audit = await openAudit(config, depsOf());
	for (const id of ids) await recorded(audit, id.startsWith('deny') ? denied(id) : decision(id));
	const names = await segmentsOf(config.directory);
	const contents = await Promise.all(names.map(name => readFile(join(config.directory, name))));
	await audit.close(0);
	for (const [i, name] of names.entries()) await writeFile(join(config.directory, name), contents[i] ?? '');
}

const last = async (directory: string): Promise<string> => join(directory, (await segmentsOf(directory)).at(-1) ?? '');

test('a torn last line is cut off, and a record says what it was', async t => {
	const directory = await temporary(t);
	await killed(configOf(directory), ['a', 'deny-b']);
	const whole = await linesOf(directory);
	const torn = `${whole.at(-1)?.slice(0, 57)}`;
	await appendFile(await last(directory), torn);
	const audit = await opened(t, configOf(directory));
	const records = await recordsOf(directory);
	assert.deepEqual((await linesOf(directory)).slice(0, whole.length), whole);
	const gap = records.find(({ type }) => type === 'gap')?.gap;
	assert.equal(gap?.reason, 'torn');
	assert.equal(gap?.bytes, torn.length);
	assert.equal(gap?.sha256, createHash('sha256').update(torn).digest('hex'));
	await audit.close();
	assert.equal((await verifyDirectory(directory)).fault, undefined);
});

test('a tail of zeros, and whole lines that are no records, are cut off too', async t => {
	for (const tail of [Buffer.alloc(5000), Buffer.from('{"type":"decision"}\n{"x":1}\n\n')]) {
		const directory = await temporary(t);
		await killed(configOf(directory), ['a']);
		await appendFile(await last(directory), tail);
		const audit = await openAudit(configOf(directory), depsOf());
		await audit.close();
		const result = await verifyDirectory(directory);
		assert.equal(result.fault, undefined);
		assert.equal((await recordsOf(directory)).find(({ type }) => type === 'gap')?.gap?.bytes, tail.length);
	}
});

test('permitted calls without an outcome are named by an outcome `unknown`, refused ones are not', async t => {
	const directory = await temporary(t);
	await killed(configOf(directory), ['a', 'deny-b', 'c']);
	assert.equal((await verifyDirectory(directory)).openCount, 2);
	const audit = await opened(t, configOf(directory));
	const unknown = (await recordsOf(directory)).filter(({ type }) => type === 'outcome');
	assert.deepEqual(
		unknown.map(({ decision_id, cause, duration_ms }) => [decision_id, cause, duration_ms]),
		[
			['a', 'unknown', undefined],
			['c', 'unknown', undefined],
		],
	);
	assert.equal(audit.status().unknown, 2);
	await audit.close();
	const result = await verifyDirectory(directory);
	assert.equal(result.openCount, 0);
	assert.equal(result.unknown, 2);
	const again = await openAudit(configOf(directory), depsOf());
	assert.equal(again.status().unknown, 0);
	await again.close();
});

test('a call that was open over many ends of segments is still found', async t => {
	const directory = await temporary(t);
	const config = configOf(directory, { segment: { size: 3000, age: 1e9 } });
	const audit = await openAudit(config, depsOf());
	await recorded(audit, decision('tunnel'));
	for (let i = 0; i < 40; i++) {
		await recorded(audit, decision(`d${i}`));
		audit.outcome({ decisionId: `d${i}`, cause: 'completed', durationMs: 1 });
	}
	await audit.close();
	assert.ok((await segmentsOf(directory)).length > 8);
	const again = await openAudit(config, depsOf());
	assert.equal(again.status().unknown, 1);
	await again.close();
	const records = await recordsOf(directory);
	assert.deepEqual(
		records.filter(({ cause }) => cause === 'unknown').map(({ decision_id }) => decision_id),
		['tunnel'],
	);
	assert.equal((await verifyDirectory(directory)).openCount, 0);
});

test('an empty or wholly torn last segment is gone on with', async t => {
	for (const tail of ['', '{"type":"deci']) {
		const directory = await temporary(t);
		const config = configOf(directory);
		const audit = await openAudit(config, depsOf());
		await recorded(audit, decision('a'));
		audit.rotate();
		await recorded(audit, decision('b'));
		await audit.close();
		await truncate(await last(directory), 0);
		await appendFile(await last(directory), tail);
		const again = await openAudit(config, depsOf());
		await recorded(again, decision('c'));
		await again.close();
		assert.equal((await segmentsOf(directory)).length, 2);
		assert.equal((await verifyDirectory(directory)).fault, undefined);
	}
});

test('a broken link does not keep Sallyport from starting; it is recorded, and verify still names it', async t => {
	const directory = await temporary(t);
	await killed(configOf(directory), ['a', 'b', 'c']);
	const path = await last(directory);
	await writeFile(path, (await readFile(path, 'utf8')).replace('"decision_id":"b"', '"decision_id":"x"'));
	const audit = await openAudit(configOf(directory), depsOf());
	assert.equal(await recorded(audit, decision('d')), undefined);
	await audit.close();
	const gap = (await recordsOf(directory)).find(({ type }) => type === 'gap')?.gap;
	assert.equal(gap?.reason, 'broken');
	assert.equal((await verifyDirectory(directory)).fault?.seq, 4);
});

test('files are for their owner and group only, the salt for its owner', async t => {
	const directory = await temporary(t);
	const inner = join(directory, 'deep', 'audit');
	const audit = await openAudit(configOf(inner), depsOf());
	await audit.close();
	assert.equal((await stat(inner)).mode & 0o007, 0);
	assert.equal((await stat(await last(inner))).mode & 0o037, 0);
	assert.equal((await stat(join(inner, 'salt'))).mode & 0o077, 0);
	await writeFile(join(inner, 'salt'), 'no salt');
	await assert.rejects(openAudit(configOf(inner), depsOf()), /is not a salt/);
});
