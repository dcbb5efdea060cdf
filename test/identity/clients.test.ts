import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keyToPem, type Minted } from '../../src/identity/mint.ts';
import { AGENT, ca, leaf, pem, sallyport, show, trialServer } from './pki.ts';

/** What the two command lines that everybody tries first come to: curl and openssl s_client. */

const root = ca('root');
const issuing = ca('issuing', {}, { issuer: root });
const svid = sallyport(root);

function run(program: string, args: readonly string[]): Promise<{ status: number | null; out: string }> {
	return new Promise((resolve, reject) => {
		const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
		let out = '';
		child.stdout.on('data', data => {
			out += data;
		});
		child.stderr.on('data', data => {
			out += data;
		});
		child.on('error', reject);
		child.on('close', status => resolve({ status, out }));
	});
}

async function folder(t: TestContext, ...chain: Minted[]): Promise<string> {
	const at = await mkdtemp(join(tmpdir(), 'sallyport-clients-'));
	t.after(() => rm(at, { recursive: true }));
	const [agent] = chain;
	await writeFile(join(at, 'ca.pem'), pem(root));
	if (agent === undefined) return at;
	await writeFile(join(at, 'agent.pem'), pem(...chain));
	await writeFile(join(at, 'agent.key'), keyToPem(agent.key));
	return at;
}

for (const version of ['1.2', '1.3']) {
	test(`curl, TLS ${version}, with an SVID over an intermediate`, async t => {
		const at = await folder(t, leaf(issuing), issuing);
		const server = await trialServer(t, svid);
		const args = [
			'-sS',
			'--noproxy',
			'*',
			'--cacert',
			join(at, 'ca.pem'),
			'--cert',
			join(at, 'agent.pem'),
			'--key',
			join(at, 'agent.key'),
		];
		const [seen, { status, out }] = await Promise.all([
			server.next(),
			run('curl', [...args, `--tlsv${version}`, '--tls-max', version, `https://localhost:${server.port}/`]),
		]);
		assert.equal(status, 0, out);
		assert.equal(show(seen), AGENT);
		assert.equal(seen.protocol, `TLSv${version}`);
	});
}

test('curl without a certificate finishes the handshake, so that it can be told why it is refused', async t => {
	const at = await folder(t);
	const server = await trialServer(t, svid);
	const [seen, { status, out }] = await Promise.all([
		server.next(),
		run('curl', [
			'-sS',
			'--noproxy',
			'*',
			'--cacert',
			join(at, 'ca.pem'),
			'-o',
			'/dev/null',
			'-w',
			'%{http_code}',
			`https://localhost:${server.port}/`,
		]),
	]);
	assert.deepEqual([status, out], [0, '204']);
	assert.match(show(seen), /^identity_missing/);
});

test('curl with a certificate of another CA finishes it too', async t => {
	const at = await folder(t, leaf(ca('other')));
	const server = await trialServer(t, svid);
	const [seen, { status }] = await Promise.all([
		server.next(),
		run('curl', [
			'-sS',
			'--noproxy',
			'*',
			'--cacert',
			join(at, 'ca.pem'),
			'--cert',
			join(at, 'agent.pem'),
			'--key',
			join(at, 'agent.key'),
			`https://localhost:${server.port}/`,
		]),
	]);
	assert.equal(status, 0);
	assert.match(show(seen), /^identity_invalid/);
});

for (const version of ['-tls1_2', '-tls1_3']) {
	test(`openssl s_client ${version}, resumed, over an intermediate`, async t => {
		const at = await folder(t, leaf(issuing), issuing);
		const server = await trialServer(t, svid);
		const session = join(at, 'session');
		const args = [
			's_client',
			'-connect',
			`127.0.0.1:${server.port}`,
			'-servername',
			'localhost',
			version,
			'-CAfile',
			join(at, 'ca.pem'),
			'-cert',
			join(at, 'agent.pem'),
			'-cert_chain',
			join(at, 'agent.pem'),
			'-key',
			join(at, 'agent.key'),
			'-ign_eof',
			'-verify_return_error',
		];
		const [first, made] = await Promise.all([server.next(), run('openssl', [...args, '-sess_out', session])]);
		assert.equal(show(first), AGENT, made.out);
		const [again, resumed] = await Promise.all([server.next(), run('openssl', [...args, '-sess_in', session])]);
		assert.deepEqual([again.resumed, show(again)], [true, AGENT], resumed.out);
		assert.match(resumed.out, /Reused/);
	});
}

test('renegotiation is refused', async t => {
	const at = await folder(t, leaf(root));
	const server = await trialServer(t, svid);
	server.server.removeAllListeners('secureConnection');
	server.server.on('secureConnection', socket => socket.on('error', () => {}).resume());
	const child = spawn(
		'openssl',
		[
			's_client',
			'-connect',
			`127.0.0.1:${server.port}`,
			'-tls1_2',
			'-cert',
			join(at, 'agent.pem'),
			'-key',
			join(at, 'agent.key'),
		],
		{ stdio: 'pipe' },
	);
	let out = '';
	const ended = new Promise<void>(resolve => child.on('close', () => resolve()));
	for (const stream of [child.stdout, child.stderr]) {
		stream.on('data', data => {
			const before = out;
			out += data;
			// s_client renegotiates on a line with R.
			if (!/Verify return code/.test(before) && /Verify return code/.test(out)) child.stdin.write('R\n');
			if (/no.renegotiation/i.test(out)) child.kill();
		});
	}
	await ended;
	assert.match(out, /no.renegotiation/i);
});
