import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Control, type ControlConfig } from '../../src/admin/control.ts';
import { openPeerCredentials, type ReadPeerCredentials } from '../../src/identity/peer-credentials.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { ask, memory, nobodyRevoked } from './fixture.ts';

/** A socket without an address needs nothing of the identity. */
const noIdentity = {
	problem: () => undefined,
	serverTlsOptions: () => ({}),
	secureContextOptions: () => ({}),
	identifyTls: () => ({ cause: 'identity_missing' as const }),
};

interface More {
	readonly users?: number[];
	readonly peerCredentials?: ReadPeerCredentials;
}

async function open(t: TestContext, { users, peerCredentials }: More = {}) {
	const workspace = makeWorkspace(t);
	// Everyone can get to the socket: only the kernel's word is in the way.
	chmodSync(workspace.directory, 0o755);
	const path = workspace.path('control.sock');
	const seen = memory();
	const config: ControlConfig = { socket: path, ...(users === undefined ? {} : { users }) };
	const control = new Control({
		...nobodyRevoked,
		config,
		identity: noIdentity,
		recorder: seen.recorder,
		status: () => ({ ready: true }),
		reload: async () => ({ problems: [], restart: [] }),
		...(peerCredentials === undefined ? {} : { peerCredentials }),
	});
	t.after(() => control.close());
	await control.listen();
	return { path, ...seen };
}

/** Asks as another user of this machine, by curl. Needs root. */
function askAs(uid: number, path: string): Promise<{ readonly status: number; readonly body: string }> {
	const child = spawn(
		'curl',
		['-q', '-sS', '--max-time', '10', '--unix-socket', path, '-w', '\n%{http_code}', 'http://sallyport/v1/status'],
		{ uid, gid: uid, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] },
	);
	let text = '';
	child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
		text += chunk;
	});
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', () => {
			const cut = text.lastIndexOf('\n');
			resolve({ status: Number(text.slice(cut + 1)), body: text.slice(0, cut) });
		});
	});
}

const needsRoot = process.geteuid?.() === 0 ? false : 'needs root to become another user';
const STRANGER = 65533;

test('the own user is an operator, and every use is recorded under its name', async t => {
	const { path, control, refused } = await open(t);
	const answer = await ask({ socketPath: path, path: '/v1/status' });
	assert.equal(answer.status, 200);
	assert.deepEqual(answer.json(), { ready: true });
	assert.equal(answer.headers.connection, 'close');
	const [record] = control;
	assert.equal(record?.action, 'status');
	assert.equal(record?.operator, `uid:${process.geteuid?.()}`);
	assert.deepEqual(record?.detail, { via: 'socket', pid: process.pid });
	assert.deepEqual(refused, []);
});

test('the socket is for its user and group only', async t => {
	const { path } = await open(t);
	assert.equal(statSync(path).mode & 0o777, 0o660);
});

test('another user is refused in words, recorded, and nothing is done', { skip: needsRoot }, async t => {
	const { path, control, refused } = await open(t);
	chmodSync(path, 0o666);
	const { status, body } = await askAs(STRANGER, path);
	assert.equal(status, 403);
	const problem = JSON.parse(body) as Record<string, unknown>;
	assert.equal(problem.cause, 'listener_forbidden');
	assert.equal(problem.type, 'urn:sallyport:cause:listener_forbidden');
	assert.match(String(problem.detail), /uid:65533/);
	assert.deepEqual(control, []);
	assert.deepEqual(refused, [
		{
			listener: 'admin.control',
			cause: 'listener_forbidden',
			detail: 'uid:65533 may not use the control socket',
			remote: '',
			claimed: 'uid:65533',
		},
	]);
});

test('`users` says who; root is not among them by itself then', { skip: needsRoot }, async t => {
	const { path, control } = await open(t, { users: [STRANGER] });
	chmodSync(path, 0o666);
	assert.equal((await askAs(STRANGER, path)).status, 200);
	assert.equal(control[0]?.operator, `uid:${STRANGER}`);
	assert.equal((await ask({ socketPath: path, path: '/v1/status' })).status, 403);
	assert.equal(control.length, 1);
});

test('nobody is let in when the kernel says nothing', async t => {
	const { path, refused } = await open(t, { peerCredentials: () => undefined });
	const answer = await ask({ socketPath: path, path: '/v1/status' });
	assert.equal(answer.status, 403);
	assert.equal(refused[0]?.cause, 'identity_missing');
});

test('the kernel is asked for the peer, not for whoever listens', { skip: needsRoot }, async t => {
	const read = await openPeerCredentials();
	const seen: unknown[] = [];
	const { path } = await open(t, {
		peerCredentials: socket => {
			seen.push(read(socket));
			return undefined;
		},
	});
	chmodSync(path, 0o666);
	await askAs(STRANGER, path);
	const [peer] = seen;
	assert.ok(typeof peer === 'object' && peer !== null && 'uid' in peer && 'gid' in peer && 'pid' in peer);
	assert.equal(peer.uid, STRANGER);
	assert.equal(peer.gid, STRANGER);
	assert.notEqual(peer.pid, process.pid);
});

test('strangers that stay connected keep no operator out', async t => {
	let allowed = false;
	const read = await openPeerCredentials();
	const { path } = await open(t, { peerCredentials: socket => (allowed ? read(socket) : undefined) });
	const sockets = await Promise.all(
		Array.from(
			{ length: 150 },
			() =>
				new Promise<ReturnType<typeof connect>>(resolve => {
					const socket = connect({ path }, () => resolve(socket));
					socket.on('error', () => resolve(socket));
				}),
		),
	);
	t.after(() => {
		for (const socket of sockets) socket.destroy();
	});
	allowed = true;
	assert.equal((await ask({ socketPath: path, path: '/v1/status' })).status, 200);
});

test('a file in the place of the socket is left alone', async t => {
	const workspace = makeWorkspace(t);
	const path = workspace.path('control.sock');
	writeFileSync(path, "somebody's");
	const control = new Control({
		...nobodyRevoked,
		config: { socket: path },
		identity: noIdentity,
		recorder: memory().recorder,
		status: () => ({}),
		reload: async () => ({ problems: [], restart: [] }),
	});
	await assert.rejects(control.listen(), /is there and is no socket/);
});

test('two cannot have one socket', async t => {
	const { path } = await open(t);
	const second = new Control({
		...nobodyRevoked,
		config: { socket: path },
		identity: noIdentity,
		recorder: memory().recorder,
		status: () => ({}),
		reload: async () => ({ problems: [], restart: [] }),
	});
	await assert.rejects(second.listen(), /another process listens on/);
	assert.equal((await ask({ socketPath: path, path: '/v1/status' })).status, 200, 'the first goes on');
});
