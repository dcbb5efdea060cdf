import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { makeWorkspace } from '../support/workspace.ts';
import { endure } from './endure.ts';
import { bundleOf, type Misbehave, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

const body =
	(bytes: Buffer): Misbehave =>
	(_request, response) =>
		response.setHeader('etag', '"bad"').end(bytes);

test('whatever a server does, the good bundle stays in force, and what was wrong is said', t =>
	endure(t, next => [
		[
			'half a body',
			(_request, response) => {
				response.writeHead(200, { 'content-length': next.length, etag: '"half"' });
				response.write(next.subarray(0, next.length / 2), () => response.destroy());
			},
			/could not be fetched/,
		],
		['too much', body(randomBytes(1024 ** 2 + 1)), /larger than 1 MiB/],
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
	]));

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
