import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { canonicalJson } from '../../src/policy/canonical-json.ts';
import { signBundle } from '../../src/policy/sign.ts';
import { type BundleFiles, readVerifyKey, signatureProblem } from '../../src/policy/signature.ts';
import { readTar, writeTar } from '../../src/policy/tar.ts';
import { folder, theOpa } from '../policy/support.ts';

/** What makes hashing hard: every escape, numbers that must stay as written, keys whose order differs between UTF-16 and bytes. */
const DATA = `{"z": [1, 1.0, 1e3, 1E+2, -0, 0.10, 12345678901234567890],
 "s": "a<>&\\u2028\\u2029\\b\\u001f\\/\u007fé😀\\"\\\\", "\\ud83d\\ude00": {"b": null, "a": true}, "\\uffff": [], "e": {}, "10": 1, "9": 2}`;

type Algorithm = 'RS256' | 'RS512' | 'PS256' | 'ES256' | 'ES384' | 'ES512';

interface Signed {
	readonly archive: Buffer;
	readonly files: BundleFiles;
	readonly key: string;
}

const filesOf = (archive: Buffer): BundleFiles =>
	new Map(readTar(gunzipSync(archive), { entries: 100 }).map(({ path, bytes }) => [path, bytes]));

const pairOf = (algorithm: Algorithm): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } =>
	algorithm.startsWith('ES')
		? generateKeyPairSync('ec', {
				namedCurve: { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[algorithm as 'ES256'],
			})
		: generateKeyPairSync('rsa', { modulusLength: 2048 });

/** A bundle signed by the real `opa sign`, and put together by `tar`'s rules. */
async function signed(
	t: TestContext,
	algorithm: Algorithm,
	claims: Readonly<Record<string, string>> = {},
): Promise<Signed> {
	const opa = await theOpa();
	const { publicKey, privateKey } = pairOf(algorithm);
	const type = algorithm.startsWith('ES') ? ('sec1' as const) : ('pkcs1' as const);
	const root = await folder(t, {
		'b/.manifest':
			'{ "revision": "7", "roots": ["sallyport", "z", "s", "e", "10", "9", "\\ud83d\\ude00", "\\uffff"], "metadata": {"n": 1.50} }',
		'b/data.json': DATA,
		'b/request.rego': 'package sallyport.request\n\nallow if input.agent.id == data.s\n',
		'key.pem': privateKey.export({ type, format: 'pem' }) as string,
		'claims.json': JSON.stringify(claims),
	});
	const more = Object.keys(claims).length === 0 ? [] : ['--claims-file', '../claims.json'];
	const { status, stderr, stdout } = await opa.run(
		['sign', '-b', '.', '--signing-key', '../key.pem', '--signing-alg', algorithm, '-o', '.', ...more],
		{ cwd: `${root}/b` },
	);
	assert.equal(status, 0, stderr + stdout);
	const names = ['.manifest', 'data.json', 'request.rego', '.signatures.json'];
	const archive = gzipSync(writeTar(names.map(path => ({ path, bytes: readFileSync(`${root}/b/${path}`) }))));
	return { archive, files: filesOf(archive), key: publicKey.export({ type: 'spki', format: 'pem' }) as string };
}

test('what `opa sign` makes is good, by every algorithm', { timeout: 60_000 }, async t => {
	for (const algorithm of ['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512'] as const) {
		const { files, key } = await signed(t, algorithm);
		const rules = { keys: [readVerifyKey(key, algorithm)] };
		assert.equal(signatureProblem(files, rules), undefined, algorithm);
		assert.match(
			signatureProblem(files, { keys: [readVerifyKey((await signed(t, algorithm)).key, algorithm)] }) ?? '',
			/its signature is not good/,
		);
	}
});

test('what `opa build` signs is good', { timeout: 60_000 }, async t => {
	const opa = await theOpa();
	const { archive, key } = await signed(t, 'RS256');
	const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
	const root = await folder(t, {
		'in.tar.gz': archive,
		'in.pub': key,
		'out.key': privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
	});
	const { status, stderr, stdout } = await opa.run(
		[
			'build',
			'-b',
			'in.tar.gz',
			'-t',
			'wasm',
			'-e',
			'sallyport/request',
			'--verification-key',
			'in.pub',
			'--signing-key',
			'out.key',
			'-o',
			'out.tar.gz',
		],
		{ cwd: root },
	);
	assert.equal(status, 0, stderr + stdout);
	const files = filesOf(readFileSync(`${root}/out.tar.gz`));
	assert.ok(files.has('policy.wasm'));
	const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
	assert.equal(signatureProblem(files, { keys: [readVerifyKey(pem)] }), undefined);
	assert.equal(
		signatureProblem(files, { keys: [readVerifyKey(pem, 'RS256', 'default')] }),
		undefined,
		'the id that opa gives',
	);
});

test('what Sallyport signs, opa takes', { timeout: 60_000 }, async t => {
	const opa = await theOpa();
	const unsigned = await signed(t, 'RS256');
	for (const algorithm of ['RS256', 'ES256'] as const) {
		const { publicKey, privateKey } = pairOf(algorithm);
		const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
		const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
		const archive = await signBundle(unsigned.archive, { key, id: 'release', scope: 'production' });
		const rules = { keys: [readVerifyKey(pem, algorithm, 'release')], scope: 'production' };
		assert.equal(signatureProblem(filesOf(archive), rules), undefined);
		const root = await folder(t, { 'in.tar.gz': archive, 'in.pub': pem });
		const build = (...more: readonly string[]) =>
			opa.run(
				[
					'build',
					'-b',
					'in.tar.gz',
					'--verification-key',
					'in.pub',
					'--verification-key-id',
					'release',
					'--signing-alg',
					algorithm,
					...more,
					'-o',
					'out.tar.gz',
				],
				{ cwd: root },
			);
		const { status, stderr, stdout } = await build('--scope', 'production');
		assert.equal(status, 0, stderr + stdout);
		const other = await build('--scope', 'other');
		assert.match(other.stdout + other.stderr, /scope mismatch/);
	}
});

test('anything that is not exactly what was signed is refused, by its own name', { timeout: 60_000 }, async t => {
	const { files, key } = await signed(t, 'RS256', { keyid: 'k1', scope: 'production' });
	const keys = [readVerifyKey(key, 'RS256', 'k1')];
	const rules = { keys, scope: 'production' };
	const changed = (change: (copy: Map<string, Buffer>) => void): BundleFiles => {
		const copy = new Map(files);
		change(copy);
		return copy;
	};
	assert.equal(signatureProblem(files, rules), undefined);
	assert.equal(
		signatureProblem(
			changed(copy => copy.set('data.json', Buffer.from(DATA.replace(', 1.0', ' ,\n\t1.0')))),
			rules,
		),
		undefined,
		'white space between values is none',
	);

	const tokens = (JSON.parse(files.get('.signatures.json')?.toString() ?? '') as { signatures: [string] }).signatures;
	const [head = '', body = '', signature = ''] = tokens[0].split('.');
	const signatures = (...list: readonly unknown[]): BundleFiles =>
		changed(copy => copy.set('.signatures.json', Buffer.from(JSON.stringify({ signatures: list }))));
	const withHead = (header: unknown): string =>
		`${Buffer.from(JSON.stringify(header)).toString('base64url')}.${body}.${signature}`;
	const forged = Buffer.from(JSON.stringify({ files: [], scope: 'production', keyid: 'k1' })).toString('base64url');
	const hmacHead = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url');
	const hmac = createHmac('sha256', key).update(`${hmacHead}.${body}`).digest('base64url');

	const cases: readonly (readonly [BundleFiles, RegExp, unknown?])[] = [
		[changed(copy => copy.delete('.signatures.json')), /is not signed, and `verify` wants it/],
		[files, /is signed, and `verify` names no key/, null],
		[changed(copy => copy.set('extra.rego', Buffer.from('package extra'))), /has extra\.rego, which was not signed/],
		[changed(copy => copy.delete('request.rego')), /lists request\.rego, which the bundle does not have/],
		[
			changed(copy => copy.set('request.rego', Buffer.from('package sallyport.request\nallow := true'))),
			/request\.rego is not what was signed/,
		],
		[
			changed(copy => copy.set('data.json', Buffer.from(DATA.replace('1.0,', '1,')))),
			/data\.json is not what was signed/,
		],
		[
			changed(copy => copy.set('data.json', Buffer.from('{"a":1,"a":2}'))),
			/data\.json is no JSON that everybody reads/,
		],
		[signatures(), /not exactly one signature/],
		[signatures(tokens[0], tokens[0]), /not exactly one signature/],
		[signatures(7), /not exactly one signature/],
		[signatures('x.y'), /is no JWT/],
		[signatures(`${head}.${forged}.${signature}`), /signature is not good/],
		[signatures(withHead({ alg: 'none' })), /algorithm of its signature is not that of the key \(RS256\)/],
		[signatures(`${hmacHead}.${body}.${hmac}`), /algorithm of its signature is not that of the key/],
		[signatures(withHead({ alg: 'RS256', crit: ['x'] })), /an extension that is not known/],
		[
			files,
			/key that `verify` does not name \(key id "k1"\)/,
			{ keys: [readVerifyKey(key, 'RS256', 'k2')], scope: 'production' },
		],
		[files, /its signature has a scope/, { keys }],
		[files, /not of the scope staging/, { keys, scope: 'staging' }],
	];
	for (const [broken, expected, other] of cases) {
		const judged = other === undefined ? rules : other === null ? undefined : (other as typeof rules);
		assert.match(signatureProblem(broken, judged) ?? 'nothing is wrong', expected);
	}
});

test('keys that are none, or could not judge, are refused', () => {
	const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;
	const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
	const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	assert.throws(() => readVerifyKey('hello'), /no PEM public key/);
	assert.throws(
		() => readVerifyKey(ec.privateKey.export({ type: 'sec1', format: 'pem' }) as string),
		/a private key stands there/,
	);
	assert.throws(() => readVerifyKey(pem(short.publicKey)), /shorter than 2048/);
	assert.throws(() => readVerifyKey(pem(ec.publicKey), 'RS256'), /not one for RS256/);
	assert.throws(() => readVerifyKey(pem(generateKeyPairSync('ed25519').publicKey)), /not one for/);
});

test('the text that is hashed', () => {
	const canonical = (text: string): string | undefined => canonicalJson(Buffer.from(text))?.toString();
	assert.equal(
		canonical(' { "b" : 1.50, "a" : [ 1e3 , -0 ] , "__proto__" : null } '),
		'{"__proto__":null,"a":[1e3,-0],"b":1.50}',
	);
	assert.equal(canonical('"\\u2028<\\/"'), '"\\u2028</"');
	assert.equal(canonical('{"\\uffff":1,"\\ud83d\\ude00":2}'), '{"\uffff":1,"😀":2}');
	assert.equal(canonical('{"a":1,"a":1}'), undefined);
	assert.equal(canonical('[1'), undefined);
});
