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

/** A tar archive with nothing but folders. */
function folders(count: number): Buffer {
	const one = writeTar([{ path: 'x', bytes: Buffer.alloc(0) }]).subarray(0, 512);
	// The type, and what it adds to the checksum.
	one[156] = 0x35;
	const sum = Number.parseInt(one.toString('latin1', 148, 154), 8) + 0x35 - 0x30;
	one.write(sum.toString(8).padStart(6, '0'), 148);
	return Buffer.concat([...Array<Buffer>(count).fill(one), Buffer.alloc(1024)]);
}

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
			['a bomb', body(gzipSync(Buffer.alloc(65 * 1024 ** 2))), /unpacks to more than 67108864 bytes/],
			[
				'a bomb that says it is small',
				body(Buffer.concat([gzipSync(Buffer.alloc(65 * 1024 ** 2)).subarray(0, -4), Buffer.alloc(4)])),
				/not a policy bundle/,
			],
			['folders without an end', body(gzipSync(folders(40_000))), /more than 30000 entries/],
			[
				'a manifest that is no list of a few names',
				body(
					packed((path, bytes) => [
						{ path, bytes: path === '.manifest' ? Buffer.from(`{"x":[${'0,'.repeat(2 ** 19)}0]}`) : bytes },
					]),
				),
				/the \.manifest is larger than 1048576 bytes/,
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
				body(
					packed((path, bytes) => [{ path, bytes: path === 'data.json' ? Buffer.from('{"sallyport":{}}') : bytes }]),
				),
				/data under `sallyport`/,
			],
			[
				'the same, in other letters',
				body(
					packed((path, bytes) => [
						{ path, bytes: path === 'data.json' ? Buffer.from('{"a":{},"\\u0073allyport":{}}') : bytes },
					]),
				),
				/data under `sallyport`/,
			],
			[
				'data that is no object',
				body(packed((path, bytes) => [{ path, bytes: path === 'data.json' ? Buffer.from('[{}]') : bytes }])),
				/the data document is not an object/,
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
