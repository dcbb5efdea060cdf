import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './sources.ts';

/** Of what is said when something is wrong. */
const LONGEST = 4000;

/** Runs a program of node_modules; returns what it said when it is not content. */
function complaints(program: string, args: readonly string[]): Promise<string> {
	return new Promise(resolve => {
		const file = join(ROOT, 'node_modules', '.bin', program);
		execFile(file, args, { cwd: ROOT, maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) => {
			resolve(error === null ? '' : `${stdout}\n${stderr}`.slice(0, LONGEST));
		});
	});
}

test('the type checker is content', async () => {
	assert.equal(await complaints('tsc', ['--pretty', 'false']), '');
});

test('the linter and the formatter are content', async () => {
	assert.equal(await complaints('biome', ['check', '--reporter=summary']), '');
});
