import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { readSigningKey, readVerifyKeys } from '../../src/identity/revocation/list-key.ts';
import { readList } from '../../src/identity/revocation/signed-list.ts';
import { makeSigner } from './fleet.ts';

const NOW = Date.UTC(2026, 0, 2);
const KINDS: Readonly<Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }>> = {
	EdDSA: () => generateKeyPairSync('ed25519'),
	ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
	ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
	RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const keysOf = (pem: string) => {
	const keys = readVerifyKeys(pem);
	assert.ok(!('broken' in keys));
	return keys;
};
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const broken = (text: string, pem: string): string => {
	const list = readList(Buffer.from(text), keysOf(pem));
	return 'broken' in list ? list.broken : `taken: ${list.sequence}`;
};

for (const [algorithm, make] of Object.entries(KINDS)) {
	test(`${algorithm}: a list is read as it was signed, and not at all when a bit of it is another`, () => {
		const signer = makeSigner(make());
		const text = signer.list(5, ['spiffe://example.org/agents/a', 'serial:0A'], NOW);
		assert.deepEqual(JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString())['alg'], algorithm);
		const list = readList(Buffer.from(text), keysOf(signer.publicKey));
		assert.ok('sequence' in list);
		assert.deepEqual(
			[list.sequence, list.issued, list.revocations.map(({ what }) => what)],
			[5, NOW, ['spiffe://example.org/agents/a', 'serial:A']],
		);
		const [head = '', body = '', signature = ''] = text.trim().split('.');
		const other = encoded({ version: 1, sequence: 5, issued: '2026-01-02T00:00:00Z', revocations: [] });
		for (const bad of [
			`${head}.${other}.${signature}`,
			`${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
			`${head}.${body}.`,
			`${head}.${body}`,
			text.repeat(2),
		])
			assert.match(broken(bad, signer.publicKey), /signature is not good|no signed list/);
	});
}

test('which algorithm it is says the key and not the list', () => {
	const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
	const { publicKey } = makeSigner(pair);
	const body = encoded({ version: 1, sequence: 1, issued: '2026-01-02T00:00:00Z', revocations: [] });
	const made = (header: object, signature: (text: string) => Buffer): string => {
		const text = `${encoded(header)}.${body}`;
		return `${text}.${signature(text).toString('base64url')}`;
	};
	const typ = 'sallyport-revocations';
	const rsa = (text: string): Buffer => sign('sha256', Buffer.from(text), pair.privateKey);
	const hmac = (text: string): Buffer => createHmac('sha256', publicKey).update(text).digest();
	assert.match(
		broken(
			made({ alg: 'none', typ }, () => Buffer.from('x')),
			publicKey,
		),
		/algorithm is not that of the key/,
	);
	assert.match(broken(made({ alg: 'HS256', typ }, hmac), publicKey), /algorithm is not that of the key/);
	assert.match(broken(made({ alg: 'RS512', typ }, rsa), publicKey), /algorithm is not that of the key/);
	assert.match(broken(made({ alg: 'RS256', typ: 'JWT' }, rsa), publicKey), /no signed list/);
	assert.match(broken(made({ alg: 'RS256', typ, crit: ['exp'] }, rsa), publicKey), /a member that is not known/);
	assert.match(broken(made({ alg: 'RS256', typ, jwk: {} }, rsa), publicKey), /a member that is not known/);
	assert.match(broken(made({ alg: 'RS256', typ, kid: 'x' }, rsa), publicKey), /not in `verify_key`/);
	// Another library's list, which names no key.
	assert.equal(broken(made({ alg: 'RS256', typ }, rsa), publicKey), 'taken: 1');
	const two = `${publicKey}${makeSigner().publicKey}`;
	assert.match(broken(made({ alg: 'RS256', typ }, rsa), two), /not in `verify_key`/);
	assert.equal(broken(makeSigner(pair).list(3), two), 'taken: 3', 'two keys while signers change');
});

test('what is signed is read strictly', () => {
	const pair = generateKeyPairSync('ed25519');
	const { publicKey } = makeSigner(pair);
	const good = { version: 1, sequence: 1, issued: '2026-01-02T00:00:00Z', revocations: [] };
	const signed = (payload: string): string => {
		const text = `${encoded({ alg: 'EdDSA', typ: 'sallyport-revocations' })}.${Buffer.from(payload).toString('base64url')}`;
		return `${text}.${sign(null, Buffer.from(text), pair.privateKey).toString('base64url')}`;
	};
	assert.equal(broken(signed(JSON.stringify(good)), publicKey), 'taken: 1');
	for (const [payload, expected] of [
		['{"version":1,"sequence":1,"sequence":2}', /no JSON object/],
		['[]', /no JSON object/],
		[JSON.stringify({ ...good, version: 2 }), /another version/],
		[JSON.stringify({ ...good, sequence: 1.5 }), /sequence/],
		[JSON.stringify({ ...good, sequence: -1 }), /sequence/],
		[JSON.stringify({ ...good, sequence: '1' }), /sequence/],
		[JSON.stringify({ ...good, issued: 0 }), /`issued`/],
		[JSON.stringify({ ...good, revocations: {} }), /no list/],
		[JSON.stringify({ ...good, scope: 'all' }), /a member that is not known/],
		[JSON.stringify({ ...good, revocations: [{ what: 'spiffe://example.org/a' }] }), /revocation 1: it has no reason/],
	] as const)
		assert.match(broken(signed(payload), publicKey), expected);
});

test('keys that are too weak, of another kind, or private are refused', () => {
	const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
	const other = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
	const pem = ({ publicKey }: { publicKey: KeyObject }): string =>
		publicKey.export({ type: 'spki', format: 'pem' }).toString();
	const why = (text: string): string => {
		const keys = readVerifyKeys(text);
		return 'broken' in keys ? keys.broken : 'taken';
	};
	assert.match(why(pem(weak)), /less than 2048 bits/);
	assert.match(why(pem(other)), /another kind/);
	assert.match(why(makeSigner().privateKey), /a PRIVATE KEY in it/);
	assert.match(why('nothing'), /no PEM public key/);
	assert.match(why(makeSigner().publicKey.repeat(9)), /more than 8/);
	assert.deepEqual(readSigningKey(makeSigner().publicKey), { broken: 'it is not an unencrypted PEM private key' });
});
