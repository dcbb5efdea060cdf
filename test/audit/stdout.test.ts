import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporary } from './fixture.ts';

const program = fileURLToPath(new URL('stdout-program.ts', import.meta.url));

test('a standard output that nobody reads stalls neither calls nor the end', async t => {
	const directory = await temporary(t);
	const args = ['--disable-warning=ExperimentalWarning', program, directory];
	const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
	t.after(() => child.kill('SIGKILL'));
	const [message] = (await once(child, 'message')) as [{ recorded: number; behind: number }];
	assert.equal(message.recorded, 400);
	assert.ok(message.behind > 0);
	const [code] = (await once(child, 'exit')) as [number];
	assert.equal(code, 0);
	child.stdout.destroy();
});
