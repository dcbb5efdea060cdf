import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { curl, throughProxy } from '../support/curl.ts';
import { readRecords } from '../support/records.ts';
import { policyOf, SALLYPORT } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

/** What the Dockerfile does, without Docker: the tree of the image is built, and run as the container runs it. */

const BUILD = fileURLToPath(new URL('../../scripts/image/build.sh', import.meta.url));
const CONTAINED = fileURLToPath(new URL('contained.sh', import.meta.url));
const USER = 65532;
const LARGEST = 145 * 1024 * 1024;
/** What `distroless/cc` has: glibc, libstdc++ and libgcc. */
const LIBRARIES = /^(linux-vdso|ld-linux-[\w-]+|lib(c|m|dl|rt|pthread|resolv|util|stdc\+\+|gcc_s))\.so(\.\d+)?$/;

const isRoot = process.getuid?.() === 0;
const NAMESPACE = isRoot ? ['--mount'] : ['--mount', '--user', '--map-root-user'];

suite('the image', { timeout: 120_000 }, () => {
	const ends: (() => void | Promise<void>)[] = [];
	const t = { after: (end: () => void | Promise<void>) => void ends.unshift(end) };
	let workspace: Workspace;
	let tree: string;

	before(() => {
		workspace = makeWorkspace(t);
		tree = workspace.path('tree');
		execFileSync(BUILD, [tree], { encoding: 'utf8' });
	});
	after(async () => {
		for (const end of ends) await end();
	});

	const files = (): string[] =>
		readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter(path => statSync(join(tree, path)).isFile());

	/** Runs a program of the image in the container's surroundings. */
	const contained = (...args: string[]): ChildProcess => {
		const run = ['sh', CONTAINED, ...['root', 'tree', 'etc', 'state'].map(name => workspace.path(name))];
		return spawn('unshare', [...NAMESPACE, ...run, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
	};

	test('holds production code only, and is small', () => {
		const paths = files();
		assert.deepEqual(
			paths.filter(
				path => /\.([mc]?ts|map|cc|hh|c|h)$/.test(path) || /(^|\/)(@types|typescript|npm|test|tests)\//.test(path),
			),
			[],
		);
		const size = paths.reduce((sum, path) => sum + statSync(join(tree, path)).size, 0);
		assert.ok(size < LARGEST, `${size} bytes`);
		const top = new Set(paths.map(path => path.split('/')[0]));
		assert.deepEqual([...top].sort(), ['LICENSE', 'bin', 'dist', 'node_modules', 'package.json', 'policies']);
	});

	test('can be changed by nobody but root, and has no programs but Node and Sallyport', () => {
		for (const path of files()) assert.equal(statSync(join(tree, path)).mode & 0o022, 0, path);
		const programs = files().filter(
			path => (statSync(join(tree, path)).mode & 0o111) !== 0 && extname(path) !== '.node',
		);
		assert.deepEqual(programs.filter(path => path.startsWith('bin/')).sort(), ['bin/node', 'bin/sallyport']);
		assert.deepEqual(
			programs.filter(path => !path.startsWith('bin/') && !/\.[cm]?js$/.test(path)),
			[],
		);
	});

	test('has every package that the program loads', () => {
		const asked = files()
			.filter(path => /^dist\/[^/]+\.js$/.test(path))
			.flatMap(path => [
				...readFileSync(join(tree, path), 'utf8').matchAll(
					/^\s*(?:.*\bfrom |.*\bimport\(|import )"((?:@[\w-]+\/)?[\w-]+)[/"]/gm,
				),
			])
			.map(([, name = '']) => name);
		assert.ok(asked.includes('koffi') && asked.includes('undici'), String(asked));
		for (const name of asked) assert.ok(existsSync(join(tree, 'node_modules', name, 'package.json')), name);
	});

	test('needs no library that its base does not have', () => {
		const binaries = files().filter(path => path === 'bin/node' || path.endsWith('.node'));
		assert.ok(binaries.length >= 2);
		for (const path of binaries) {
			const listed = execFileSync('ldd', [join(tree, path)], { encoding: 'utf8' });
			for (const line of listed.split('\n')) {
				const name = line.trim().split(/\s/)[0]?.split('/').at(-1) ?? '';
				if (name !== '') assert.match(name, LIBRARIES, path);
			}
		}
	});

	test('runs as nobody in particular, on a read-only root: help, config check, a call, another policy, and the end', async () => {
		const upstream = await startUpstream(t);
		for (const [name, text] of Object.entries(policyOf('allow := true'))) workspace.write(`policies/${name}`, text);
		mkdirSync(workspace.path('state'));
		mkdirSync(workspace.path('etc'));
		const bundle = workspace.path('etc', 'policy.tar.gz');
		execFileSync(SALLYPORT, ['policy', 'build', workspace.path('policies'), '-o', bundle]);
		for (const name of ['ca.pem', 'sallyport.pem', 'sallyport.key'])
			execFileSync('cp', [workspace.path('certs', name), workspace.path('etc', name)]);
		const lib = '/var/lib/sallyport';
		workspace.write(
			'etc/sallyport.yaml',
			stringify({
				identity: {
					trust_domain: 'example.org',
					svid: { files: { certificate: 'sallyport.pem', key: 'sallyport.key', trust_bundle: 'ca.pem' } },
				},
				policy: { bundles: [{ name: 'image', path: 'policy.tar.gz' }], keep: `${lib}/policy` },
				listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' }],
				upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
				audit: { directory: `${lib}/audit` },
				state: { sqlite: `${lib}/state.db` },
				admin: { health: { address: '127.0.0.1:0' }, control: { socket: `${lib}/control.sock` } },
			}),
		);
		chmodSync(workspace.directory, 0o755);
		if (isRoot) {
			chownSync(workspace.path('state'), USER, USER);
			chownSync(workspace.path('etc', 'sallyport.key'), USER, USER);
		}
		assert.match(await output(contained('sallyport', '--help')), /^Usage: sallyport/);
		await output(contained('sallyport', 'config', 'check', '--config', '/etc/sallyport/sallyport.yaml'));

		const write = "require('fs').writeFileSync('/opt/sallyport/x', '')";
		await assert.rejects(output(contained('node', '-e', write)), /EROFS/);

		const running = contained('sallyport', 'run', '--config', '/etc/sallyport/sallyport.yaml');
		t.after(() => void running.kill('SIGKILL'));
		let log = '';
		running.stderr?.setEncoding('utf8').on('data', (text: string) => {
			log += text;
		});
		const address = await until(
			() => {
				assert.equal(running.exitCode, null, log);
				return /"listener":"egress","address":"([^"]+)"/.exec(log)?.[1];
			},
			'it listens',
			30_000,
		);
		const user = /^Uid:\s+(\d+)/m.exec(execFileSync('cat', [`/proc/${running.pid}/status`], { encoding: 'utf8' }))?.[1];
		assert.notEqual(user, '0');
		const call = () =>
			curl([...throughProxy(workspace, address, workspace.agent('a')), `http://crm.internal:${upstream.port}/x`]);
		const allowed = await call();
		assert.equal(allowed.status, 200, log + allowed.body);
		assert.ok(readRecords(workspace.path('state', 'audit')).some(record => record.type === 'decision'));

		// Loaded in a thread of its own, whose file is another one than in a checkout.
		for (const [name, text] of Object.entries(policyOf('allow := false'))) workspace.write(`policies/${name}`, text);
		execFileSync(SALLYPORT, ['policy', 'build', workspace.path('policies'), '-o', bundle]);
		running.kill('SIGHUP');
		await until(async () => (await call()).status === 403, 'the other policy is in force');

		running.kill('SIGTERM');
		await until(() => running.exitCode !== null, 'it ends');
		assert.equal(running.exitCode, 0, log);
	});
});

/** What a program printed, once it ended well. */
function output(child: ChildProcess): Promise<string> {
	let out = '';
	let said = '';
	child.stdout?.setEncoding('utf8').on('data', (text: string) => {
		out += text;
	});
	child.stderr?.setEncoding('utf8').on('data', (text: string) => {
		said += text;
	});
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', code => (code === 0 ? resolve(out) : reject(new Error(`status ${code}: ${said}${out}`))));
	});
}
