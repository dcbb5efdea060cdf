import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { clearSocketPath } from '../../src/config/socket-path.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('the socket of a killed process goes, and its folder is made', async t => {
	const workspace = makeWorkspace(t);
	const path = workspace.path('run', 'deep', 'x.sock');
	await clearSocketPath(path);
	const child = spawn(
		process.execPath,
		['-e', `require('net').createServer().listen(process.argv[1], () => console.log('up'))`, path],
		{ stdio: ['ignore', 'pipe', 'inherit'] },
	);
	await once(child.stdout, 'data');
	child.kill('SIGKILL');
	await once(child, 'close');
	assert.ok(lstatSync(path).isSocket());
	await clearSocketPath(path);
	assert.ok(!existsSync(path));
});

test('a living listener and anything else in its place stay', async t => {
	const workspace = makeWorkspace(t);
	const path = workspace.path('x.sock');
	const server = createServer().listen(path);
	t.after(() => server.close());
	await once(server, 'listening');
	await assert.rejects(clearSocketPath(path), /another process listens on/);
	assert.ok(lstatSync(path).isSocket());
	mkdirSync(workspace.path('folder'));
	await assert.rejects(clearSocketPath(workspace.path('folder')), /is there and is no socket/);
});

test('a path that is too long for a socket is told before it is cut off', async t => {
	await assert.rejects(
		clearSocketPath(makeWorkspace(t).path('x'.repeat(120))),
		/too long for a Unix socket \(107 bytes\)/,
	);
});
