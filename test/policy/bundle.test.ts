import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import { readBundle } from '../../src/policy/bundle.ts';
import { compile } from '../../src/policy/compile.ts';
import { agentPolicy, type LoadedBundle, loadBundle } from '../../src/policy/set.ts';
import { readTar, type TarEntry, writeTar } from '../../src/policy/tar.ts';
import { folder, MEMORY, theOpa } from './support.ts';

const REGO =
	'package sallyport.request\n\nallow if data.grants[input.agent.path]\n\ndeny contains "no" if input.http.path == "/export"\n';

/** What `opa build` makes without us. */
async function plain(
	t: TestContext,
	rego: string,
	entrypoints: readonly string[],
	data = '{"grants":{"/a":true}}',
): Promise<Buffer> {
	const root = await folder(t, { 'p/request.rego': rego, 'p/data.json': data });
	const output = join(root, 'b.tar.gz');
	const { status, stderr } = await (await theOpa()).run([
		'build',
		'-b',
		join(root, 'p'),
		'-t',
		'wasm',
		'-o',
		output,
		...entrypoints.flatMap(name => ['-e', name]),
	]);
	assert.equal(status, 0, stderr);
	return await readFile(output);
}

const load = async (archive: Buffer): Promise<LoadedBundle> =>
	await loadBundle('default', await readBundle(archive, 'b.tar.gz'), 'b.tar.gz', {
		memory: MEMORY,
		builtins: BUILTINS,
	});

const rewritten = (archive: Buffer, change: (entries: readonly TarEntry[]) => readonly TarEntry[]): Buffer =>
	gzipSync(writeTar(change(readTar(gunzipSync(archive), { entries: 100 }))));

const withManifest = (archive: Buffer, change: (manifest: Record<string, unknown>) => unknown): Buffer =>
	rewritten(archive, entries =>
		entries.map(entry =>
			entry.path === '.manifest'
				? { path: entry.path, bytes: Buffer.from(JSON.stringify(change(JSON.parse(entry.bytes.toString())))) }
				: entry,
		),
	);

test('a bundle by plain opa build works, and everything is built for it', async t => {
	const policy = agentPolicy([await load(await plain(t, REGO, ['sallyport/request']))]);
	assert.equal(policy.evaluate('request', '{"agent":{"path":"/a"}}').verdict, 'allow');
	assert.equal(policy.evaluate('request', '{"agent":{"path":"/b"}}').cause, 'no_rule');
	const denied = policy.evaluate('request', '{"agent":{"path":"/a"},"http":{"path":"/export"}}');
	assert.deepEqual([denied.cause, denied.reasons], ['denied_by_rule', [{ msg: 'no' }]]);
	assert.equal(policy.evaluate('request', '{').cause, 'policy_error');
	assert.equal(policy.evaluate('connect', '{}').cause, 'phase_undefined');
	assert.equal(policy.reads('request').paths, undefined);
});

for (const [what, rego, cause] of [
	['allow is a string', 'package sallyport.request\n\nallow := "yes"\n', 'policy_error'],
	['deny is a string', 'package sallyport.request\n\nallow := true\n\ndeny := "no"\n', 'policy_error'],
	['deny is an object', 'package sallyport.request\n\nallow := true\n\ndeny := {"a": 1}\n', 'policy_error'],
	['deny is true', 'package sallyport.request\n\nallow := true\n\ndeny := true\n', 'policy_error'],
	['deny has a member', 'package sallyport.request\n\nallow := true\n\ndeny contains "x"\n', 'denied_by_rule'],
	['nothing is defined', 'package sallyport.request\n\nallow if input.labels.never\n', 'no_rule'],
] as const) {
	test(`a plain bundle is judged by the same table: ${what}`, async t => {
		assert.equal(
			agentPolicy([await load(await plain(t, rego, ['sallyport/request']))]).evaluate('request', '{}').cause,
			cause,
		);
	});
}

test('a plain bundle with data under sallyport is refused', async t => {
	const archive = await plain(
		t,
		'package sallyport.connect\n\nallow if false\n',
		['sallyport/connect'],
		'{"sallyport":{"request":{"allow":true}}}',
	);
	await assert.rejects(load(archive), /data under `sallyport`/);
});

test('a bundle without an entry point that is asked for is refused', async t => {
	await assert.rejects(load(await plain(t, REGO, ['sallyport/request/allow'])), /no entry point/);
});

test('a bundle of ours carries what it reads, as long as its module is the one that was compiled', async t => {
	const root = await folder(t, { 'request.rego': REGO });
	const { archive, revision } = await compile(await theOpa(), [root], 'v1');
	assert.equal(revision, 'v1');
	const read = await readBundle(archive, 'x');
	assert.deepEqual(agentPolicy([await load(archive)]).reads('request').paths, ['agent.path', 'http.path']);
	assert.equal(read.revision, 'v1');

	const other = await compile(await theOpa(), [
		await folder(t, { 'request.rego': REGO.replace('/export', '/exports') }),
	]);
	const foreign = rewritten(archive, entries =>
		entries.map(entry => (entry.path === 'policy.wasm' ? { path: entry.path, bytes: other.wasm } : entry)),
	);
	assert.equal(
		agentPolicy([await load(foreign)]).reads('request').paths,
		undefined,
		'a list for another module says nothing',
	);

	const without = withManifest(archive, ({ metadata: _, ...rest }) => rest);
	assert.equal(agentPolicy([await load(without)]).reads('request').paths, undefined);
	const damaged = withManifest(archive, manifest => ({
		...manifest,
		metadata: { sallyport: { version: 1, reads: 5 } },
	}));
	assert.equal(agentPolicy([await load(damaged)]).reads('request').paths, undefined);
});

test('a bundle without a revision gets one from its content', async t => {
	const archive = await plain(t, REGO, ['sallyport/request']);
	const bundle = await readBundle(archive, 'x');
	assert.match(bundle.revision, /^[0-9a-f]{64}$/);
	const other = await readBundle(await plain(t, REGO, ['sallyport/request'], '{"grants":{}}'), 'x');
	assert.notEqual(other.revision, bundle.revision);
});

test('what is no bundle is refused with the reason', async t => {
	const archive = await plain(t, REGO, ['sallyport/request']);
	await assert.rejects(load(Buffer.from('hello')), /b\.tar\.gz: not a policy bundle/);
	await assert.rejects(load(archive.subarray(0, archive.length >> 1)), /not a policy bundle/);
	await assert.rejects(load(gzipSync(Buffer.from('hello'))), /not a policy bundle/);
	await assert.rejects(
		load(rewritten(archive, entries => entries.filter(entry => entry.path !== '.manifest'))),
		/no \.manifest/,
	);
	await assert.rejects(
		load(rewritten(archive, entries => entries.filter(entry => entry.path !== 'policy.wasm'))),
		/not exactly one WebAssembly module/,
	);
	await assert.rejects(load(withManifest(archive, () => 5)), /malformed/);
	await assert.rejects(
		load(
			rewritten(archive, entries =>
				entries.map(entry => (entry.path === 'policy.wasm' ? { path: entry.path, bytes: Buffer.from('x') } : entry)),
			),
		),
		/WebAssembly/,
	);
	await assert.rejects(
		load(
			rewritten(archive, entries =>
				entries.map(entry => (entry.path === 'data.json' ? { path: entry.path, bytes: Buffer.from('[]') } : entry)),
			),
		),
		/not an object|is not JSON/,
	);
	await assert.rejects(
		load(rewritten(archive, entries => [...entries, { path: 'x/data.json', bytes: Buffer.from('{}') }])),
		/data outside/,
	);
});

test('a module that wants other things than OPA gives is refused', async () => {
	const empty = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
	const manifest = { wasm: [{ entrypoint: 'sallyport/request', module: '/policy.wasm' }] };
	const archive = gzipSync(
		writeTar([
			{ path: '.manifest', bytes: Buffer.from(JSON.stringify(manifest)) },
			{ path: 'policy.wasm', bytes: empty },
		]),
	);
	await assert.rejects(load(archive), /ABI/);
});

test('data that does not fit into the memory refuses the bundle', async t => {
	const data = JSON.stringify({
		grants: Object.fromEntries(
			Array.from({ length: 20_000 }, (_, index) => [`/agents/${index}`, { crm: { read: true } }]),
		),
	});
	const archive = await plain(t, REGO, ['sallyport/request'], data);
	const bundle = await readBundle(archive, 'b.tar.gz');
	await assert.rejects(
		loadBundle('default', bundle, 'b.tar.gz', { memory: 4 * 1024 * 1024, builtins: BUILTINS }),
		/cannot be loaded within 4194304 bytes/,
	);
});
