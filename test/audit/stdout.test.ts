import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporary } from './fixture.ts';

const program = fileURLToPath(new URL('stdout-program.ts', import.meta.url));

test('a standard output that nobody reads stalls neither calls nor the end', { timeout: 15_000 }, async t => {
	const directory = await temporary(t);
	const pipe = join(directory, 'pipe');
	execFileSync('mkfifo', [pipe]);
	const stdout = openSync(pipe, constants.O_RDWR);
	t.after(() => closeSync(stdout));
	const args = ['--disable-warning=ExperimentalWarning', program, join(directory, 'audit')];
	const child = spawn(process.execPath, args, { stdio: ['ignore', stdout, 'inherit', 'ipc'] });
	t.after(() => child.kill('SIGKILL'));
	const [message] = (await once(child, 'message')) as [{ recorded: number; behind: number }];
	assert.equal(message.recorded, 400);
	assert.ok(message.behind > 0);
	const [code] = (await once(child, 'exit')) as [number];
	assert.equal(code, 0);
});
