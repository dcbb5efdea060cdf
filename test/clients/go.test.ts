import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkClient, programOf } from './check.ts';

test('Go net/http', { skip: spawnSync('go', ['version']).status === 0 ? false : 'Go is not installed' }, async t => {
	const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-go-'));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	const client = join(directory, 'client');
	const built = spawnSync('go', ['build', '-o', client, programOf('client.go')], {
		encoding: 'utf8',
		env: { ...process.env, GOFLAGS: '', CGO_ENABLED: '0' },
	});
	assert.equal(built.status, 0, built.stderr);
	await checkClient(t, 'go', way => ({ words: [client, way] }));
});
