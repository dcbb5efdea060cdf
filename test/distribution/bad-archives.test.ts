import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readTar, type TarEntry, writeTar } from '../../src/policy/tar.ts';
import { endure } from './endure.ts';
import type { Misbehave } from './server.ts';

const body =
	(bytes: Buffer): Misbehave =>
	(_request, response) =>
		response.setHeader('etag', '"bad"').end(bytes);

test('whatever an archive is, the good bundle stays in force, and what was wrong is said', t =>
	endure(t, next => {
		const entries = readTar(gunzipSync(next), { entries: 100 });
		const packed = (change: (path: string, bytes: Buffer) => readonly TarEntry[]): Buffer =>
			gzipSync(writeTar(entries.flatMap(({ path, bytes }) => change(path, bytes))));
		return [
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
			['a bomb', body(gzipSync(Buffer.alloc(257 * 1024 ** 2))), /larger than 268435456 bytes/],
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
				body(
					packed((path, bytes) => [{ path, bytes: path === 'data.json' ? Buffer.from('{"sallyport":{}}') : bytes }]),
				),
				/data under `sallyport`/,
			],
			[
				'a broken module',
				body(packed((path, bytes) => [{ path, bytes: path === 'policy.wasm' ? bytes.subarray(0, 5000) : bytes }])),
				/the module ends too soon/,
			],
			[
				'no module',
				body(packed((path, bytes) => (path === 'policy.wasm' ? [] : [{ path, bytes }]))),
				/WebAssembly module/,
			],
		];
	}));
