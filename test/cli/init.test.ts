import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { findOpa } from '../../src/policy/opa.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { sallyport } from './run.ts';

test('what `init` writes is good as it stands', async t => {
	const workspace = makeWorkspace(t);
	const { code, out } = await sallyport(['init', 'new', '--trust-domain', 'acme.test'], { cwd: workspace.directory });
	assert.equal(code, 0);
	assert.match(
		out,
		/Next:\n {2}cd new\n {2}sallyport certs init --trust-domain acme\.test\n {2}sallyport certs issue researcher\n/,
	);
	const loaded = loadConfig(workspace.path('new/sallyport.yaml'), {});
	assert.ok('config' in loaded, JSON.stringify(loaded));
	assert.equal(loaded.config.identity.trust_domain, 'acme.test');
	assert.match(readFileSync(workspace.path('new/.gitignore'), 'utf8'), /^\/certs\/$/m);
});

test('its policy passes its own tests and the strict check', async t => {
	const workspace = makeWorkspace(t);
	await sallyport(['init'], { cwd: workspace.directory });
	const opa = await findOpa(undefined, process.env);
	const policies = workspace.path('policies');
	assert.match(execFileSync(opa.path, ['test', policies], { encoding: 'utf8' }), /^PASS: \d+\/\d+$/m);
	execFileSync(opa.path, ['check', '--strict', policies]);
});

test('nothing is replaced, and then nothing is written either', async t => {
	const workspace = makeWorkspace(t);
	const mine = workspace.write('policies/request.rego', 'package mine\n');
	const { code, err } = await sallyport(['init'], { cwd: workspace.directory });
	assert.equal(code, 2);
	assert.match(err, /nothing was written: there is policies\/request\.rego already/);
	assert.equal(readFileSync(mine, 'utf8'), 'package mine\n');
	assert.deepEqual(readdirSync(workspace.directory).sort(), ['certs', 'policies']);
});

test('a .gitignore that is there stays', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('.gitignore', 'mine\n');
	assert.equal((await sallyport(['init'], { cwd: workspace.directory })).code, 0);
	assert.equal(readFileSync(workspace.path('.gitignore'), 'utf8'), 'mine\n');
});

test('a trust domain that is none', async t => {
	const { code, err } = await sallyport(['init', '--trust-domain', 'Example.org'], { cwd: makeWorkspace(t).directory });
	assert.equal(code, 2);
	assert.match(err, /--trust-domain Example\.org/);
});

test('where no folder can be made: said at once, in words', async t => {
	for (const words of [
		['init', '/proc/none'],
		['init', '/proc/none/below'],
	]) {
		const { code, err } = await sallyport(words);
		assert.equal(code, 2);
		assert.match(err, /^error: \/proc\/none\S* cannot be written: no folder can be made there$/m);
	}
	const certs = await sallyport(['certs', 'init', '--dir', '/proc/none']);
	assert.equal(certs.code, 1);
	const workspace = makeWorkspace(t);
	const file = workspace.write('file', '');
	const taken = await sallyport(['init', file]);
	assert.match(taken.err, /a file stands where a folder is wanted/);
});
