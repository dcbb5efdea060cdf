import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readTar, writeTar } from '../../src/policy/tar.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, type Misbehave, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

test('whatever a server does, the good bundle stays in force, and what was wrong is said', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	const good = await bundleOf(workspace, 'allow := true', 'one');
	server.serve(good);
	const poll = { min: '250ms', max: '250ms', wait: '0' };
	const config = fromServer(server, { poll, timeout: '500ms', limit: '1MiB' });
	const stage = await openDistribution(t, { workspace, config });
	assert.equal(await stage.outcome(), '200');
	const next = await bundleOf(workspace, 'allow := false', 'two');
	const entries = readTar(gunzipSync(next), { entries: 100 });
	const packed = (change: (path: string, bytes: Buffer) => readonly { path: string; bytes: Buffer }[]): Buffer =>
		gzipSync(writeTar(entries.flatMap(({ path, bytes }) => change(path, bytes))));
	const body =
		(bytes: Buffer): Misbehave =>
		(_request, response) =>
			response.setHeader('etag', '"bad"').end(bytes);

	const cases: readonly (readonly [string, Misbehave, RegExp])[] = [
		[
			'half a body',
			(_request, response) => {
				response.writeHead(200, { 'content-length': next.length, etag: '"half"' });
				response.write(next.subarray(0, next.length / 2), () => response.destroy());
			},
			/could not be fetched/,
		],
		[
			'half a body as a whole one',
			body(next.subarray(0, next.length / 2)),
			/not a policy bundle: unexpected end of file/,
		],
		[
			'bad gzip',
			body(Buffer.concat([next.subarray(0, 40), randomBytes(400)])),
			/not a policy bundle: (invalid|incorrect|unexpected|too many)/,
		],
		['no archive', body(gzipSync('hello')), /not a policy bundle: the archive has no end/],
		['nothing', body(Buffer.alloc(0)), /not a policy bundle/],
		['too much', body(randomBytes(1024 ** 2 + 1)), /larger than 1 MiB/],
		['a bomb', body(gzipSync(Buffer.alloc(257 * 1024 ** 2))), /larger than 268435456 bytes/],
		[
			'byte after byte',
			(_request, response) => {
				response.writeHead(200, { 'content-length': next.length });
				const timer = setInterval(() => response.write('x'), 50);
				response.on('close', () => clearInterval(timer));
			},
			/no answer within 0\.5 s/,
		],
		['silence', () => undefined, /no answer within 0\.5 s/],
		[
			'a redirect',
			(_request, response) => response.writeHead(302, { location: 'https://localhost:1/other' }).end(),
			/redirects \(302\), which is not followed/,
		],
		['an error', (_request, response) => response.writeHead(503).end('<html>'), /answers 503/],
		[
			'an encoded body',
			(_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(next)),
			/encoded, which was not asked for/,
		],
		[
			'a name that leads out',
			body(packed((path, bytes) => [{ path: path === 'data.json' ? '../data.json' : path, bytes }])),
			/a path that leads out of it/,
		],
		[
			'a file twice',
			body(
				packed((path, bytes) => [
					{ path, bytes },
					{ path: `/${path}`, bytes },
				]),
			),
			/twice/,
		],
		[
			'a delta bundle',
			body(
				packed((path, bytes) => [{ path, bytes }, ...(path === '.manifest' ? [{ path: 'patch.json', bytes }] : [])]),
			),
			/a delta bundle/,
		],
		[
			'data that could allow',
			body(packed((path, bytes) => [{ path, bytes: path === 'data.json' ? Buffer.from('{"sallyport":{}}') : bytes }])),
			/data under `sallyport`/,
		],
		[
			'a broken module',
			body(packed((path, bytes) => [{ path, bytes: path === 'policy.wasm' ? bytes.subarray(0, 5000) : bytes }])),
			/WebAssembly/i,
		],
		[
			'no module',
			body(packed((path, bytes) => (path === 'policy.wasm' ? [] : [{ path, bytes }]))),
			/WebAssembly module/,
		],
	];
	for (const [what, how, expected] of cases) {
		const before = (await stage.download(() => true, 'the bundle')).failures;
		server.misbehave(how);
		const { revision, etag } = await stage.download(
			({ problem = '', failures }) => failures > before && expected.test(problem),
			what,
		);
		assert.deepEqual({ revision, etag }, { revision: 'one', etag: '"1"' }, what);
	}
	assert.equal(await stage.outcome(), '200');
	const [, failures] =
		/^sallyport_bundle_failures\{bundle="team"\} (\d+)$/m.exec(await stage.sallyport.metrics()) ?? [];
	assert.ok(Number(failures) >= cases.length, failures);
	const said = stage.sallyport
		.log()
		.filter(({ msg }) => /the policy bundle was not taken/.test(msg ?? ''))
		.map(({ problem }) => problem);
	assert.ok(
		said.every((problem, index) => problem !== said[index - 1]),
		'the same thing is said once',
	);

	// The tag of what was refused was not believed: the good one is still what is asked by.
	assert.equal(server.asked.at(-1)?.etag, '"1"');
	server.serve(next);
	assert.deepEqual(await stage.reload(), []);
	assert.equal(await stage.outcome(), 'no_rule');
	assert.equal((await stage.download(() => true, 'the bundle')).problem, undefined);
});

test('a server that answers 304 before it gave anything gave nothing', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	server.misbehave((_request, response) => response.writeHead(304, { etag: '"1"' }).end());
	const stage = await openDistribution(t, { workspace, config: fromServer(server) });
	assert.equal(await stage.outcome(), 'policy_missing');
	const { problem } = await stage.download(download => download.problem !== undefined, 'it is said');
	assert.equal(problem, 'the server answers 304 unasked');
	// And it is asked again soon, since every call is refused meanwhile.
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	await stage.download(({ revision }) => revision === 'one', 'the bundle');
	assert.equal(await stage.outcome(), '200');
});
