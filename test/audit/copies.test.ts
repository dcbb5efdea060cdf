import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openAudit } from '../../src/audit/audit.ts';
import { run } from './command.ts';
import { configOf, decision, denied, depsOf, linesOf, recorded, segmentsOf, temporary } from './fixture.ts';
import { signer } from './keys.ts';

/** A chain of some segments, and its lines. */
async function chain(t: TestContext) {
	const directory = await temporary(t);
	const audit = await openAudit(configOf(directory), depsOf({ signer: signer() }));
	for (let day = 0; day < 3; day++) {
		await recorded(audit, decision(`a${day}`, { result: '{"allow":true,"text":"a brace } a quote \\" and [é]"}' }));
		await recorded(audit, denied(`b${day}`));
		audit.outcome({ decisionId: `a${day}`, cause: 'completed', durationMs: 1 });
		audit.rotate();
	}
	await audit.close();
	return { directory, lines: await linesOf(directory), elsewhere: await temporary(t) };
}

interface Verified {
	readonly whole: boolean;
	readonly copies?: {
		readonly records: number;
		readonly last: number;
		readonly types: readonly string[];
		readonly lacking: Readonly<Record<string, number>>;
		readonly others: number;
	};
	readonly fault?: { readonly segment: string; readonly line: number; readonly seq: number; readonly problem: string };
}

async function verify(directory: string, elsewhere: string): Promise<Verified & { readonly status: number }> {
	const { text, status } = await run(['verify', '--directory', directory, '--against', elsewhere, '--json']);
	return { ...(JSON.parse(text) as Verified), status };
}

const sha256 = (line: string): string => hash('sha256', line, 'hex');

const array = (lines: readonly string[]): string => `[${lines.join(',')}]`;

/** What a collector writes into a file of the records of one request. */
const logs = (lines: readonly string[]): string =>
	`${JSON.stringify({
		resourceLogs: [
			{
				resource: { attributes: [{ key: 'service.name', value: { stringValue: 'sallyport' } }] },
				scopeLogs: [
					{
						scope: { name: 'sallyport.audit' },
						logRecords: lines.map(line => ({
							timeUnixNano: '1',
							body: { stringValue: line },
							attributes: [{ key: 'sallyport.type', value: { stringValue: 'decision' } }],
						})),
					},
				],
			},
		],
	})}\n`;

test('copies as a collector writes them: the bodies of its logs, and one that was changed is named', async t => {
	const { directory, lines, elsewhere } = await chain(t);
	const file = join(elsewhere, 'logs.json');
	await writeFile(file, `${logs(lines.slice(0, 6))}${logs(lines.slice(4))}${logs(lines).slice(0, 500)}`);
	const { whole, copies } = await verify(directory, elsewhere);
	assert.equal(whole, true);
	assert.deepEqual([copies?.records, copies?.last, copies?.lacking], [lines.length, lines.length, {}]);
	const at = lines.findIndex(line => line.includes('"verdict":"deny"'));
	const changed = lines.with(at, lines[at]?.replace('"verdict":"deny"', '"verdict":"allow"') ?? '');
	await writeFile(file, `${logs(lines.slice(0, 1))}${logs(changed)}`);
	const { status, fault } = await verify(directory, elsewhere);
	assert.equal(status, 1);
	assert.deepEqual([fault?.segment, fault?.line, fault?.seq], [file, 2, at + 1]);
});

test('copies as they were delivered: lines and arrays, gzipped, out of order, more than once, of several instances', async t => {
	const { directory, lines, elsewhere } = await chain(t);
	const other = await chain(t);
	await writeFile(
		join(elsewhere, 'a.jsonl'),
		`${lines.slice(4, 9).join('\n')}\n${lines[5]}\n{"torn":"li\n${lines[3]}\n`,
	);
	// Bodies one behind the other, without a line feed, and one with spaces around its elements.
	await writeFile(
		join(elsewhere, 'b.json'),
		`${array(lines.slice(2, 6))}${array(lines.slice(0, 3))}[ ${lines[9]} , ${other.lines[0]} ]`,
	);
	await writeFile(
		join(elsewhere, 'c.json.gz'),
		Buffer.concat([gzipSync(array(lines.slice(9))), gzipSync(array(other.lines))]),
	);
	const { status, whole, copies } = await verify(directory, elsewhere);
	assert.equal(status, 0);
	assert.equal(whole, true);
	assert.deepEqual(copies, {
		records: lines.length,
		last: lines.length,
		types: ['decision', 'outcome', 'control', 'checkpoint'],
		lacking: {},
		others: other.lines.length + 1,
	});
});

test('what the copies lack is counted by the types that they hold', async t => {
	const { directory, lines, elsewhere } = await chain(t);
	const kept = lines.filter(line => !line.includes('"type":"outcome"') && !line.includes('"decision_id":"b1"'));
	await writeFile(join(elsewhere, 'copy.jsonl'), kept.join('\n'));
	const { whole, copies } = await verify(directory, elsewhere);
	assert.equal(whole, true);
	assert.deepEqual(copies?.lacking, { decision: 1 });
	assert.deepEqual(copies?.types, ['decision', 'control', 'checkpoint']);
	const { text } = await run(['verify', '--directory', directory, '--against', elsewhere]);
	assert.match(text, /the copies hold \d+ records up to \d+, each as it is here, but lack 1 of type decision/);
});

test('a chain that somebody linked anew where no checkpoint covers it: the copies find the record', async t => {
	const { lines, elsewhere } = await chain(t);
	const [first = '', second = '', third = ''] = lines;
	await writeFile(join(elsewhere, 'copy.json'), array([first, second, third]));
	const changed = second.replace('"verdict":"allow"', '"verdict":"deny"');
	const linked = third.replace(sha256(second), sha256(changed));
	assert.ok(changed !== second && linked !== third);
	const directory = await temporary(t);
	await writeFile(join(directory, '0000000000000001.jsonl'), `${[first, changed, linked].join('\n')}\n`);
	assert.equal((await run(['verify', '--directory', directory])).status, 0, 'every link holds');
	const { status, fault } = await verify(directory, elsewhere);
	assert.equal(status, 1);
	assert.equal(fault?.seq, 2);
});

test('a changed record of a copy, and one that is gone here, are named with file and place', async t => {
	const { directory, lines, elsewhere } = await chain(t);
	const path = join(elsewhere, 'copy.json');
	await writeFile(
		path,
		array(
			lines.map(line => line.replace('"decision_id":"b1","verdict":"deny"', '"decision_id":"b1","verdict":"allow"')),
		),
	);
	const at = lines.findIndex(line => line.includes('"decision_id":"b1"'));
	const changed = await verify(directory, elsewhere);
	assert.equal(changed.status, 1);
	assert.deepEqual(changed.fault, {
		segment: path,
		line: at + 1,
		seq: at + 1,
		problem: 'it is another one than here: one of the two was changed',
	});

	// The last segment goes: no checkpoint that is held covers it, but its first record is.
	const names = await segmentsOf(directory);
	const last = (await readFile(join(directory, names.at(-1) ?? ''), 'utf8')).split('\n');
	await writeFile(path, array([...lines.slice(0, 2), last[0] ?? '']));
	await writeFile(join(directory, names.at(-1) ?? ''), '');
	const gone = await verify(directory, elsewhere);
	assert.equal(gone.status, 1);
	assert.match(gone.fault?.problem ?? '', /^it is held elsewhere; here the records after \d+ were removed$/);
});

test('copies of another chain alone prove nothing', async t => {
	const { directory } = await chain(t);
	const other = await chain(t);
	await writeFile(join(other.elsewhere, 'copy.json'), array(other.lines));
	const { status, fault } = await verify(directory, other.elsewhere);
	assert.equal(status, 1);
	assert.match(fault?.problem ?? '', /no checkpoint held elsewhere is of this chain/);
});
