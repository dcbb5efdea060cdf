import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { readJson, readText } from '../structure/sources.ts';
import { CLIENTS, DATABASE_CLIENTS } from './matrix.ts';
import { clientsPage } from './page.ts';
import { PYTHON_PACKAGES, python } from './python.ts';

test('docs/clients.md is what `node test/clients/page.ts` makes', () => {
	assert.equal(readText('docs/clients.md'), clientsPage());
});

test('the versions on the page are those that are tested', () => {
	const packages = readJson('package.json') as Record<string, Record<string, string>>;
	assert.equal(CLIENTS.undici.version, packages['dependencies']?.['undici']);
	assert.equal(DATABASE_CLIENTS.pg.version, packages['devDependencies']?.['pg']);
	assert.equal(`v${CLIENTS.nodeFetch.version}`, process.version);
	assert.equal(`v${CLIENTS.nodeHttp.version}`, process.version);
	assert.equal(CLIENTS.httpx.version, PYTHON_PACKAGES.httpx);
	assert.equal(CLIENTS.requests.version, PYTHON_PACKAGES.requests);
	assert.equal(CLIENTS.aiohttp.version, PYTHON_PACKAGES.aiohttp);
	assert.equal(DATABASE_CLIENTS.psycopg.version, PYTHON_PACKAGES['psycopg[binary]']);
});

const found = python();

test('the Python clients are installed in these versions', { skip: 'missing' in found ? found.missing : false }, () => {
	if ('missing' in found) return;
	const names = Object.keys(PYTHON_PACKAGES).map(name => name.replace(/\[.*/, ''));
	const { stdout } = spawnSync(
		found.path,
		['-c', 'import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))', ...names],
		{ encoding: 'utf8' },
	);
	assert.equal(stdout.trim(), Object.values(PYTHON_PACKAGES).join(' '));
});
