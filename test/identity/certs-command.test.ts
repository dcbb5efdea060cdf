import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { CommanderError } from 'commander';
import { certsCommand } from '../../src/cli/certs.ts';
import { openSvid } from '../../src/identity/svid.ts';

async function folder(t: TestContext): Promise<string> {
	const at = await mkdtemp(join(tmpdir(), 'sallyport-certs-'));
	t.after(() => rm(at, { recursive: true }));
	return join(at, 'certs');
}

/** Runs one command line; status, output and error as a shell would see them. */
async function certs(...args: string[]): Promise<{ status: number; out: string; error: string }> {
	let out = '';
	let error = '';
	const command = certsCommand(text => {
		out += text;
	});
	for (const one of [command, ...command.commands]) {
		one.exitOverride().configureOutput({
			writeOut: text => {
				out += text;
			},
			writeErr: text => {
				error += text;
			},
		});
	}
	try {
		await command.parseAsync(args, { from: 'user' });
		return { status: 0, out, error };
	} catch (thrown) {
		if (!(thrown instanceof CommanderError)) throw thrown;
		return { status: thrown.exitCode, out, error };
	}
}

test('init makes a CA and the SVID of Sallyport, which verify', async t => {
	const at = await folder(t);
	const { status, out } = await certs('init', '--dir', at);
	assert.equal(status, 0);
	assert.match(out, /CA of example\.org/);
	assert.match(out, /Next: sallyport certs issue spiffe:\/\/example\.org\/agents\/NAME/);
	assert.deepEqual((await readdir(at)).sort(), ['ca.key', 'ca.pem', 'sallyport.key', 'sallyport.pem']);
	for (const name of ['ca.key', 'sallyport.key']) assert.equal((await stat(join(at, name))).mode & 0o777, 0o600);
	const [certificate, key, trustBundle] = await Promise.all(
		['sallyport.pem', 'sallyport.key', 'ca.pem'].map(name => readFile(join(at, name), 'utf8')),
	);
	const svid = openSvid(
		{ certificate: certificate ?? '', key: key ?? '', trustBundle: trustBundle ?? '' },
		'example.org',
		{ now: Date.now(), skew: 0 },
	);
	if ('broken' in svid) assert.fail(svid.broken);
	assert.equal(svid.spiffeId.id, 'spiffe://example.org/sallyport');
	const verify = (purpose: string) =>
		promisify(execFile)('openssl', [
			'verify',
			'-x509_strict',
			'-purpose',
			purpose,
			'-CAfile',
			join(at, 'ca.pem'),
			join(at, 'sallyport.pem'),
		]);
	for (const purpose of ['sslserver', 'sslclient']) assert.match((await verify(purpose)).stdout, /OK/);
	const { stdout } = await promisify(execFile)('openssl', [
		'x509',
		'-in',
		join(at, 'sallyport.pem'),
		'-noout',
		'-ext',
		'subjectAltName',
	]);
	assert.match(stdout, /DNS:localhost/);
});

test('issue makes the SVID of an agent, by id or by name, without any DNS name', async t => {
	const at = await folder(t);
	await certs('init', '--dir', at, '--trust-domain', 'dev.test');
	assert.equal((await certs('issue', 'researcher', '--dir', at)).status, 0);
	const { status, out } = await certs(
		'issue',
		'spiffe://dev.test/teams/a/writer',
		'--dir',
		at,
		'--json',
		'--ttl',
		'1h',
	);
	assert.equal(status, 0);
	const facts = JSON.parse(out);
	assert.equal(facts.spiffe_id, 'spiffe://dev.test/teams/a/writer');
	assert.equal(facts.certificate, join(at, 'writer.pem'));
	assert.ok(Math.abs(Date.parse(facts.not_after) - Date.now() - 3_600_000) < 60_000);
	const { stdout } = await promisify(execFile)('openssl', [
		'x509',
		'-in',
		join(at, 'researcher.pem'),
		'-noout',
		'-ext',
		'subjectAltName',
		'-subject',
	]);
	assert.match(stdout, /URI:spiffe:\/\/dev\.test\/agents\/researcher\n/);
	assert.doesNotMatch(stdout, /DNS|CN/);
	assert.equal((await stat(join(at, 'researcher.key'))).mode & 0o777, 0o600);
});

test('nothing that is there is replaced without --force', async t => {
	const at = await folder(t);
	await certs('init', '--dir', at);
	await certs('issue', 'a', '--dir', at);
	const before = await Promise.all(['ca.pem', 'a.pem'].map(name => readFile(join(at, name), 'utf8')));
	for (const args of [['init'], ['issue', 'a'], ['issue', 'spiffe://example.org/x/a']]) {
		const { status, error } = await certs(...args, '--dir', at);
		assert.equal(status, 2);
		assert.match(error, /is there already; use --force/);
	}
	assert.deepEqual(await Promise.all(['ca.pem', 'a.pem'].map(name => readFile(join(at, name), 'utf8'))), before);
	assert.equal((await certs('issue', 'a', '--dir', at, '--force')).status, 0);
	assert.notEqual(await readFile(join(at, 'a.pem'), 'utf8'), before[1]);
});

test('the mistakes of callers have status 2 and say what to do', async t => {
	const at = await folder(t);
	assert.deepEqual(
		[
			(await certs('issue', 'a', '--dir', at)).status,
			/certs init/.test((await certs('issue', 'a', '--dir', at)).error),
		],
		[2, true],
	);
	assert.equal((await certs('init', '--dir', at, '--trust-domain', 'Example.org')).status, 2);
	await certs('init', '--dir', at);
	for (const [id, why] of [
		['spiffe://other.org/agents/a', /cannot issue/],
		['spiffe://example.org', /names a trust domain/],
		['spiffe://example.org/a/../b', /segment \.\./],
		['a b', /not a SPIFFE ID/],
		['sallyport', /not an agent's/],
		['ca', /not an agent's/],
	] as const) {
		const { status, error } = await certs('issue', id, '--dir', at, '--force');
		assert.equal(status, 2, id);
		assert.match(error, why);
	}
	await writeFile(join(at, 'ca.key'), await readFile(join(at, 'sallyport.key')));
	assert.match((await certs('issue', 'b', '--dir', at)).error, /ca\.key does not belong to ca\.pem/);
	assert.match((await certs('issue', 'b', '--dir', at, '--ttl', '5y')).error, /Expected a duration/);
});

test('the id of Sallyport itself can be renewed, and keeps its loopback names', async t => {
	const at = await folder(t);
	await certs('init', '--dir', at);
	const { status, error } = await certs('issue', 'spiffe://example.org/sallyport', '--dir', at, '--force');
	assert.equal(status, 0, error);
	const { stdout } = await promisify(execFile)('openssl', [
		'x509',
		'-in',
		join(at, 'sallyport.pem'),
		'-noout',
		'-ext',
		'subjectAltName',
	]);
	assert.match(stdout, /DNS:localhost/);
});

test('--help shows an example for each', async () => {
	for (const name of ['init', 'issue'])
		assert.match((await certs(name, '--help')).out, /Examples:\n {2}sallyport certs /);
});

test('a folder that cannot be written is a failure, with status 1', async t => {
	const at = await folder(t);
	await certs('init', '--dir', at);
	const program = new URL('../../bin/sallyport', import.meta.url).pathname;
	const failing = promisify(execFile)(program, ['certs', 'init', '--dir', join(at, 'ca.pem', 'x')]);
	await assert.rejects(failing, { code: 1, stderr: /ENOTDIR/ });
});
