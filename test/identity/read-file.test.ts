import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { readBytes } from '../../src/identity/read-file.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a file is read whole or not at all, and only a regular one', async t => {
	const workspace = makeWorkspace(t);
	const file = (size: number): string => workspace.write('file', 'x'.repeat(size));
	for (const size of [0, 1, 4096, 4097, 100_000])
		assert.equal((await readBytes(file(size), 100_000)).toString(), 'x'.repeat(size));
	const broken = async (path: string): Promise<string> => {
		const read = await readBytes(path, 100_000);
		return 'broken' in read ? read.broken : 'read';
	};
	assert.match(await broken(file(100_001)), /larger than/);
	// Their sizes are 0, and there is no end to the second.
	assert.equal(await broken('/proc/self/status'), 'read');
	assert.match(await broken('/dev/zero'), /no regular file/);
	execFileSync('mkfifo', [workspace.path('fifo')]);
	assert.match(await broken(workspace.path('fifo')), /no regular file/);
	assert.match(await broken(workspace.directory), /no regular file/);
	assert.match(await broken(workspace.path('none')), /ENOENT/);
});
