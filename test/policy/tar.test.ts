import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTar, writeTar } from '../../src/policy/tar.ts';
import { folder, write } from './support.ts';

const LIMITS = { entries: 10 };
const LONG = `${'a-long-folder-name/'.repeat(8)}file-ä.rego`;

test('what is written is read again, long names too', () => {
	const entries = [
		{ path: '.manifest', bytes: Buffer.from('{}') },
		{ path: LONG, bytes: Buffer.alloc(1025, 7) },
		{ path: 'empty', bytes: Buffer.alloc(0) },
	];
	assert.deepEqual(readTar(writeTar(entries), LIMITS), entries);
	assert.deepEqual(writeTar(entries), writeTar(entries));
});

for (const format of ['ustar', 'gnu', 'pax']) {
	test(`reads what tar writes in the ${format} format`, async t => {
		const root = await folder(t);
		const name = format === 'ustar' ? 'b/short.rego' : LONG;
		await write(root, { 'data.json': '{"a":1}', [name]: 'package x' });
		const archive = execFileSync('tar', ['-c', `--format=${format}`, '-C', root, '.'], { maxBuffer: 1024 * 1024 });
		const read = new Map(readTar(archive, LIMITS).map(entry => [entry.path, entry.bytes.toString()]));
		assert.deepEqual(
			read,
			new Map([
				['data.json', '{"a":1}'],
				[name, 'package x'],
			]),
		);
	});
}

test('tar reads what is written', async t => {
	const root = await folder(t);
	await write(root, {
		'x.tar': writeTar([
			{ path: LONG, bytes: Buffer.from('x') },
			{ path: 'b', bytes: Buffer.from('y') },
		]),
	});
	const listed = execFileSync('tar', ['-tf', join(root, 'x.tar')], {
		encoding: 'utf8',
		env: { ...process.env, LC_ALL: 'C.UTF-8' },
	});
	assert.deepEqual(listed.trim().split('\n').length, 2);
	assert.match(listed, /^a-long-folder-name/);
});

/** One header with a field changed, its checksum made right again. */
function changed(at: number, text: string, path = 'a'): Buffer {
	const archive = writeTar([{ path, bytes: Buffer.from('x') }]);
	archive.write(text, at, 'latin1');
	archive.fill(0x20, 148, 156);
	const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
	archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
	return archive;
}

for (const [what, archive, message] of [
	['a symbolic link', changed(156, '2'), /neither a file nor a folder/],
	['a hard link', changed(156, '1'), /neither a file nor a folder/],
	['a device', changed(156, '3'), /neither a file nor a folder/],
	['a path that leads out', changed(0, '../a\0'), /leads out/],
	['a path that leads out further in', changed(0, 'a/../../b\0'), /leads out/],
	['a size beyond the end', changed(124, '77777777777'), /middle of a file/],
	['a size that is no number', changed(124, 'x'), /damaged header/],
	['a binary size', changed(124, '\x80\x00\x00\x00'), /damaged header/],
	['a wrong checksum', writeTar([{ path: 'a', bytes: Buffer.from('x') }]).fill('9', 100, 101), /checksum/],
	['no end', writeTar([{ path: 'a', bytes: Buffer.from('x') }]).subarray(0, 1024), /no end/],
	['nothing', Buffer.alloc(0), /no end/],
	[
		'a file twice',
		writeTar([
			{ path: 'a', bytes: Buffer.from('x') },
			{ path: './a', bytes: Buffer.from('y') },
		]),
		/twice/,
	],
	[
		'too many files',
		writeTar(Array.from({ length: 11 }, (_, index) => ({ path: `f${index}`, bytes: Buffer.from('x') }))),
		/more than 10/,
	],
	[
		'a damaged extended header',
		writeTar([{ path: LONG, bytes: Buffer.from('x') }]).fill('9', 512, 514),
		/extended header|leads out|damaged/,
	],
] as const) {
	test(`refuses ${what}`, () => assert.throws(() => readTar(archive, LIMITS), message));
}
