import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { readDomainBundle } from '../../src/identity/bundles/bundle.ts';
import { readBundleDocument, readJwtBundle } from '../../src/identity/bundles/document.ts';
import { newKey } from '../../src/identity/mint.ts';
import { authority, bundleDocument } from '../support/spiffe.ts';
import { leaf, pem } from './pki.ts';

const root = authority('other.org');
const second = authority('other.org');
const x5c = [root.certificate.toString('base64')];
const jwk = createPublicKey(root.key).export({ format: 'jwk' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

const read = (document: unknown) =>
	readBundleDocument(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)));

function good(document: unknown) {
	const bundle = read(document);
	if ('broken' in bundle) assert.fail(bundle.broken);
	return bundle;
}

test('CAs, keys for JWT-SVIDs, sequence and refresh hint are read', () => {
	const { anchors, jwt, sequence, refreshHint } = good(
		bundleDocument([root, second], {
			jwt: { a: newKey(), b: rsa.privateKey },
			members: { spiffe_sequence: 12, spiffe_refresh_hint: 60, more: { x: [1.5] } },
		}),
	);
	assert.deepEqual(
		anchors.map(({ x509 }) => x509.raw),
		[root.certificate, second.certificate],
	);
	assert.deepEqual([...jwt.keys()], ['a', 'b']);
	assert.equal(jwt.get('b')?.asymmetricKeyType, 'rsa');
	assert.deepEqual([sequence, refreshHint], [12n, 60_000]);
});

test('a sequence may have more digits than a double', () => {
	assert.equal(good(`{"keys":[],"spiffe_sequence":17145216000000000001}`).sequence, 17145216000000000001n);
});

test('a bundle without keys is good, and empty', () => {
	const { anchors, jwt } = good({ keys: [] });
	assert.deepEqual([anchors.length, jwt.size], [0, 0]);
});

test('what has an unknown use or type is left alone, and so is what lacks certificate or id', () => {
	const { anchors, jwt } = good({
		keys: [
			{ ...jwk, use: 'x509-svid', x5c },
			{ ...jwk, use: 'sig', x5c },
			{ ...jwk, x5c },
			{ ...jwk, use: 'X509-SVID', x5c },
			{ kty: 'NEW', use: 'x509-svid', x5c: ['rubbish'] },
			{ kty: 'OKP', crv: 'Ed25519', use: 'jwt-svid', kid: 'c', x: 'x' },
			{ ...jwk, use: 'x509-svid' },
			{ ...jwk, use: 'x509-svid', x5c: [] },
			{ ...jwk, use: 'jwt-svid' },
			{ ...jwk, use: 'jwt-svid', kid: '' },
			{ kty: 'EC', crv: 'secp256k1', use: 'jwt-svid', kid: 'd', x: 'x', y: 'y' },
			{
				...generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }),
				use: 'jwt-svid',
				kid: 'e',
			},
		],
	});
	assert.deepEqual([anchors.length, jwt.size], [1, 0]);
});

test('of several certificates in one entry the first counts alone', () => {
	const { anchors } = good({ keys: [{ ...jwk, use: 'x509-svid', x5c: [...x5c, 'rubbish'] }] });
	assert.equal(anchors.length, 1);
});

test('what is broken refuses the whole', () => {
	const cases: readonly [unknown, RegExp][] = [
		['', /no JSON/],
		['{"keys":[]', /no JSON/],
		['{"keys":[],"keys":[]}', /duplicate_key/],
		['[]', /no JSON object/],
		['null', /no JSON object/],
		[{}, /no list `keys`/],
		[{ keys: {} }, /no list `keys`/],
		[{ keys: [1] }, /no key/],
		[{ keys: Array.from({ length: 257 }, () => ({})) }, /more than 256/],
		[{ keys: [{ ...jwk, use: 'x509-svid', x5c: ['rubbish!'] }] }, /^key 1: its first x5c/],
		[{ keys: [{ ...jwk, use: 'x509-svid', x5c: [7] }] }, /^key 1: its first x5c/],
		[{ keys: [{ ...jwk, use: 'x509-svid', x5c: ['AAAA'] }] }, /^key 1: its certificate/],
		[{ keys: [{ kty: 'EC', crv: 'P-256', use: 'jwt-svid', kid: 'a', x: 'x', y: 'y' }] }, /^key 1: it is no public key/],
		[
			{
				keys: [
					{ ...jwk, use: 'jwt-svid', kid: 'a' },
					{ ...jwk, use: 'jwt-svid', kid: 'a' },
				],
			},
			/^key 2: .*"a"/,
		],
		[{ keys: [root.key.export({ format: 'jwk' })] }, /^key 1: it holds a secret/],
		[{ keys: [{ kty: 'oct', use: 'jwt-svid', kid: 'a', k: 'AAAA' }] }, /^key 1: it holds a secret/],
		[{ keys: [], spiffe_sequence: 'x' }, /spiffe_sequence/],
		[{ keys: [], spiffe_sequence: -1 }, /spiffe_sequence/],
		[{ keys: [], spiffe_sequence: 1.5 }, /spiffe_sequence/],
		[{ keys: [], spiffe_refresh_hint: '60' }, /spiffe_refresh_hint/],
		[{ keys: [], spiffe_refresh_hint: -60 }, /spiffe_refresh_hint/],
		[`{"keys":[],"x":"${'a'.repeat(1024 * 1024)}"}`, /size/],
		[`{"keys":${'['.repeat(50)}${']'.repeat(50)}}`, /depth/],
	];
	for (const [document, why] of cases) {
		const bundle = read(document);
		assert.ok('broken' in bundle, JSON.stringify(document).slice(0, 100));
		assert.match(bundle.broken, why);
	}
});

test('a leaf is no CA; PEM and documents are told apart in a file', () => {
	const bad = readDomainBundle('other.org', Buffer.from(bundleDocument([leaf(root)])));
	assert.match('broken' in bad ? bad.broken : '', /not one of a CA/);
	for (const text of [pem(root, second), `\n ${bundleDocument([root, second])}`]) {
		const bundle = readDomainBundle('other.org', Buffer.from(text));
		if ('broken' in bundle) assert.fail(bundle.broken);
		assert.deepEqual([bundle.trust.trustDomain, bundle.trust.anchors.length], ['other.org', 2]);
	}
});

test('the Workload API need not say what its keys are for', () => {
	const keys = readJwtBundle(
		Buffer.from(
			JSON.stringify({
				keys: [
					{ ...jwk, kid: 'a' },
					{ ...jwk, kid: 'b', use: 'sig' },
					{ ...jwk, kid: 'c', use: 'jwt-svid' },
					{ ...jwk, kid: 'd', use: 'enc' },
					{ ...jwk, kid: 'e', use: 'x509-svid', x5c },
				],
			}),
		),
	);
	assert.ok(!('broken' in keys));
	assert.deepEqual([...keys.keys()], ['a', 'b', 'c']);
});
