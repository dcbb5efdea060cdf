import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { openAudit } from '../../src/audit/audit.ts';
import { readHeld } from '../../src/audit/held.ts';
import { type Verification, verifyDirectory } from '../../src/audit/verify.ts';
import { configOf, decision, denied, depsOf, linesOf, recorded, segmentsOf, temporary } from './fixture.ts';
import { signer } from './keys.ts';

/** Four segments, the last of which ends with a signed checkpoint: what each test gets a copy of. */
const original = new Map<string, Buffer>();

before(async () => {
	const directory = await mkdtemp(join(tmpdir(), 'sallyport-audit-'));
	try {
		const audit = await openAudit(configOf(directory), depsOf({ signer: signer() }));
		for (let i = 0; i < 4; i++) {
			await recorded(audit, decision(`a${i}`));
			await recorded(audit, denied(`b${i}`));
			audit.outcome({ decisionId: `a${i}`, cause: 'completed', durationMs: 1, error: 'é "quoted"' });
			if (i < 3) audit.rotate();
		}
		await audit.close();
		for (const name of await segmentsOf(directory)) original.set(name, await readFile(join(directory, name)));
	} finally {
		await rm(directory, { recursive: true, force: true });
	}
});

async function copied(t: TestContext): Promise<string> {
	const directory = await temporary(t);
	for (const [name, bytes] of original) await writeFile(join(directory, name), bytes);
	return directory;
}

/** Changes the lines of one segment. */
async function change(directory: string, segment: number, edit: (lines: string[]) => string[]): Promise<void> {
	const path = join(directory, (await segmentsOf(directory))[segment] ?? '');
	const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
	await writeFile(
		path,
		edit(lines)
			.map(line => `${line}\n`)
			.join(''),
	);
}

async function broken(directory: string, seq: number, problem: RegExp): Promise<void> {
	const { fault } = await verifyDirectory(directory);
	assert.match(fault?.problem ?? 'nothing was found', problem);
	assert.equal(fault?.seq, seq);
}

test('an untouched chain is whole', async t => {
	const result = await verifyDirectory(await copied(t));
	assert.equal(result.fault, undefined);
	assert.equal(result.records, 17);
	assert.equal(result.signed?.seq, 16);
});

test('a changed record is found at the record after it', async t => {
	const directory = await copied(t);
	await change(directory, 1, lines => lines.map(line => line.replace('"deny"', '"allow"')));
	await broken(directory, 8, /does not follow record 7/);
});

test('a removed record is found', async t => {
	const directory = await copied(t);
	await change(directory, 1, lines => lines.toSpliced(1, 1));
	await broken(directory, 8, /record 7 should be here/);
});

test('an inserted record is found', async t => {
	const directory = await copied(t);
	await change(directory, 2, lines => lines.toSpliced(1, 0, lines[0] ?? ''));
	await broken(directory, 10, /record 11 should be here/);
});

test('exchanged records are found', async t => {
	const directory = await copied(t);
	await change(directory, 2, ([a = '', b = '', ...rest]) => [b, a, ...rest]);
	const { fault } = await verifyDirectory(directory);
	assert.equal(fault?.line, 1);
});

test('a removed, renamed or empty segment in the middle is found', async t => {
	const removed = await copied(t);
	const names = await segmentsOf(removed);
	await rm(join(removed, names[1] ?? ''));
	await broken(removed, 6, /should begin with 6/);

	const renamed = await copied(t);
	await rename(join(renamed, names[1] ?? ''), join(renamed, '0000000000000007.jsonl'));
	await broken(renamed, 6, /should begin with 6/);

	const emptied = await copied(t);
	await writeFile(join(emptied, names[1] ?? ''), '');
	await broken(emptied, 6, /should begin with 6/);
});

test('first segments that are gone without a record of retention are found', async t => {
	const directory = await copied(t);
	await rm(join(directory, (await segmentsOf(directory))[0] ?? ''));
	await broken(directory, 6, /records 1 to 5 were removed/);
});

test('a removed tail is found by a checkpoint held elsewhere, and only by one', async t => {
	const directory = await copied(t);
	const elsewhere = join(await temporary(t), 'held.jsonl');
	const checkpoints = (await linesOf(directory)).filter(line => line.startsWith('{"type":"checkpoint"'));
	await writeFile(elsewhere, checkpoints.map(line => `${line}\n`).join(''));
	const held = await readHeld([elsewhere]);
	assert.equal(held.count, 4);
	const whole = await verifyDirectory(directory, { held });
	assert.equal(whole.fault, undefined);
	assert.equal(whole.held?.seq, 16);

	for (const keep of [3, 2]) {
		const cut = await copied(t);
		await change(cut, 3, lines => lines.slice(0, keep));
		assert.equal((await verifyDirectory(cut)).fault, undefined);
		const { fault } = await verifyDirectory(cut, { held });
		if (keep === 3) assert.equal(fault, undefined, 'the checkpoint itself attests nothing of itself');
		else assert.match(fault?.problem ?? '', /records up to 16 are attested elsewhere; after 15 they were removed/);
	}
	const gone = await copied(t);
	const names = await segmentsOf(gone);
	for (const name of names.slice(2)) await rm(join(gone, name));
	assert.match((await verifyDirectory(gone, { held })).fault?.problem ?? '', /attested elsewhere/);
});

test('a chain made anew by whoever can write there does not agree with what is held elsewhere', async t => {
	const directory = await copied(t);
	const elsewhere = join(await temporary(t), 'held.jsonl');
	await copyFile(join(directory, (await segmentsOf(directory)).at(-1) ?? ''), elsewhere);
	const held = await readHeld([elsewhere]);

	// Every link is made again over a changed record; the checkpoints cannot be.
	const lines = (await linesOf(directory)).filter(line => !line.startsWith('{"type":"checkpoint"'));
	let prev = '0'.repeat(64);
	const forged = lines.map((line, i) => {
		const next = line
			.replace(/"seq":\d+/, `"seq":${i + 1}`)
			.replace(/"prev":"[0-9a-f]+"/, `"prev":"${prev}"`)
			.replace('"deny"', '"allow"');
		prev = createHash('sha256').update(next).digest('hex');
		return `${next}\n`;
	});
	const anew = await temporary(t);
	await writeFile(join(anew, '0000000000000001.jsonl'), forged.join(''));
	const alone = await verifyDirectory(anew);
	assert.equal(alone.fault, undefined);
	assert.equal(alone.signed, undefined);
	assert.match((await verifyDirectory(anew, { held })).fault?.problem ?? '', /attested elsewhere/);

	const other = await temporary(t);
	const audit = await openAudit(configOf(other), depsOf());
	await audit.close();
	assert.match(
		(await verifyDirectory(other, { held })).fault?.problem ?? '',
		/no checkpoint held elsewhere is of this chain/,
	);
	assert.match(
		(await verifyDirectory(await temporary(t), { held })).fault?.problem ?? '',
		/no checkpoint held elsewhere/,
	);
});

test('a record that was changed before the last checkpoint held elsewhere, all links made again, is found', async t => {
	const directory = await copied(t);
	const [first = '', ...rest] = (await linesOf(directory)).map(line => `${line}\n`);
	const elsewhere = join(await temporary(t), 'held.jsonl');
	await writeFile(elsewhere, rest.join(''));
	// A forger who holds a key of his own signs a chain of the same id.
	const forgerDirectory = await temporary(t);
	const forger = await openAudit(configOf(forgerDirectory), depsOf({ signer: signer() }));
	await forger.close();
	const chain = /"chain":"([^"]+)"/.exec(first)?.[1] ?? '';
	const name = (await segmentsOf(forgerDirectory))[0] ?? '';
	const path = join(forgerDirectory, name);
	await writeFile(path, `${first.replace('"sallyport-1"', '"sallyport-2"')}`);
	const again = await openAudit(configOf(forgerDirectory), depsOf({ signer: signer() }));
	for (let i = 0; i < 20; i++) await recorded(again, decision(`f${i}`));
	await again.close();
	const lines = await linesOf(forgerDirectory);
	assert.ok(lines.every(line => line.includes(chain)));
	assert.equal((await verifyDirectory(forgerDirectory)).fault, undefined);
	const { fault } = await verifyDirectory(forgerDirectory, { held: await readHeld([elsewhere]) });
	assert.match(fault?.problem ?? '', /says that this record was another/);
});

test('forged checkpoints held elsewhere are refused, not believed', async t => {
	const directory = await copied(t);
	const elsewhere = join(await temporary(t), 'held.jsonl');
	const checkpoint = (await linesOf(directory)).at(-1) ?? '';
	await writeFile(elsewhere, `${checkpoint.replace(/"seq":16,/, '"seq":12,')}\n`);
	await assert.rejects(readHeld([elsewhere]), /was forged/);
});

test('any byte that is changed, anywhere, is found', async t => {
	const directory = await temporary(t);
	const names = [...original.keys()];
	const sizes = [...original.values()].map(({ length }) => length);
	const total = sizes.reduce((sum, size) => sum + size, 0);
	await fc.assert(
		fc.asyncProperty(fc.nat(total - 1), fc.integer({ min: 1, max: 255 }), async (place, flip) => {
			let at = place;
			let index = 0;
			while (at >= (sizes[index] ?? 0)) at -= sizes[index++] ?? 0;
			for (const [i, name] of names.entries()) {
				const bytes = Buffer.from(original.get(name) ?? '');
				if (i === index) bytes[at] = (bytes[at] ?? 0) ^ flip;
				await writeFile(join(directory, name), bytes);
			}
			const result: Verification = await verifyDirectory(directory);
			return result.fault !== undefined;
		}),
		{ numRuns: 300 },
	);
});

test('any byte of the last checkpoint that is changed is found', async t => {
	const directory = await temporary(t);
	const audit = await openAudit(configOf(directory), depsOf({ signer: signer() }));
	await audit.close();
	const path = join(directory, (await segmentsOf(directory))[0] ?? '');
	const bytes = await readFile(path);
	const start = bytes.lastIndexOf(10, bytes.length - 2) + 1;
	for (let at = start; at < bytes.length; at++) {
		for (const flip of [1, 1 << (1 + (at % 7))]) {
			const copy = Buffer.from(bytes);
			copy[at] = (copy[at] ?? 0) ^ flip;
			await writeFile(path, copy);
			assert.notEqual((await verifyDirectory(directory)).fault, undefined, `byte ${at - start}, ${flip}`);
		}
	}
});

test('a checkpoint cannot be made to pass for another record', async t => {
	const directory = await copied(t);
	await change(directory, 3, lines => lines.map(line => line.replace('{"type":"checkpoint"', '{"type":"session"')));
	await broken(directory, 17, /this was a checkpoint/);
});
