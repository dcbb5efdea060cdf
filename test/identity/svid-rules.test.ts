import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { OID } from '../../src/formats/der-certificate.ts';
import type { Minted } from '../../src/identity/mint.ts';
import {
	basicConstraints,
	extendedKeyUsage,
	keyUsage,
	nameConstraints,
	otherExtension,
	subjectAltName,
} from '../../src/identity/mint-extensions.ts';
import { judgeSvid } from '../../src/identity/rules.ts';
import { AGENT, bundleOf, bundlesOf, ca, HOUR, type LeafParts, leaf, NOW } from './pki.ts';

const root = ca('root');
const bundles = bundlesOf(bundleOf('example.org', root));
const when = { now: NOW, skew: 0 };
const judge = (made: Minted, at = when) => judgeSvid([made.certificate], bundles, at);

test('a good SVID is taken, and says who, until when, and its serial', () => {
	const facts = judge(leaf(root));
	if ('cause' in facts) assert.fail(facts.detail);
	assert.equal(facts.spiffeId.id, AGENT);
	assert.equal(facts.notAfter, Math.floor((NOW + HOUR) / 1000) * 1000);
	assert.match(facts.serial, /^[0-9A-F]{32}$/);
	assert.deepEqual(facts.intermediates, []);
});

test('names of other kinds, further usages and extensions that are not critical do no harm', () => {
	const facts = judge(
		leaf(root, {
			keyUsage: keyUsage(['digitalSignature', 'keyEncipherment', 'keyAgreement']),
			extendedKeyUsage: extendedKeyUsage([OID.clientAuth, OID.serverAuth, '1.3.6.1.5.5.7.3.4']),
			names: [
				{ kind: 'dns', value: 'a.example.org' },
				{ kind: 'dns', value: 'b.example.org' },
				{ kind: 'uri', value: AGENT },
				{ kind: 'email', value: 'a@example.org' },
				{ kind: 'ip', value: '0a000001' },
			],
			more: [otherExtension('1.3.6.1.4.1.55555.1', Buffer.from([0x05, 0x00]), false)],
		}),
	);
	assert.ok(!('cause' in facts), 'cause' in facts ? facts.detail : '');
});

test('without extended key usage an SVID is good; basicConstraints may be absent', () => {
	assert.ok(!('cause' in judge(leaf(root, { extendedKeyUsage: null, basicConstraints: null }))));
});

test('an empty subject with a critical name is good', () => {
	const parts = { names: null, more: [subjectAltName([{ kind: 'uri', value: AGENT }], true)] };
	assert.ok(!('cause' in judge(leaf(root, parts, { subject: [] }))));
});

const uri = (value: string) => ({ names: [{ kind: 'uri' as const, value }] });

const BROKEN: readonly [rule: string, parts: LeafParts, detail: RegExp][] = [
	['no names at all', { names: null }, /no URI name/],
	['no URI name', { names: [{ kind: 'dns', value: 'localhost' }] }, /no URI name/],
	[
		'two URI names',
		{
			names: [
				{ kind: 'uri', value: AGENT },
				{ kind: 'uri', value: 'spiffe://example.org/b' },
			],
		},
		/2 URI names/,
	],
	[
		'the same URI name twice',
		{
			names: [
				{ kind: 'uri', value: AGENT },
				{ kind: 'uri', value: AGENT },
			],
		},
		/2 URI names/,
	],
	[
		'a second URI of another scheme',
		{
			names: [
				{ kind: 'uri', value: AGENT },
				{ kind: 'uri', value: 'https://example.org' },
			],
		},
		/2 URI names/,
	],
	['an https URI', uri('https://example.org/agents/a'), /scheme/],
	['a scheme in upper case', uri('SPIFFE://example.org/agents/a'), /scheme/],
	['a trust domain in upper case', uri('spiffe://Example.org/agents/a'), /trust domain/],
	['a port', uri('spiffe://example.org:1/agents/a'), /trust domain/],
	['a path that climbs', uri('spiffe://example.org/agents/../operators/a'), /segment \.\./],
	['a slash at the end', uri('spiffe://example.org/agents/'), /ends in/],
	['a query', uri('spiffe://example.org/agents/a?b'), /character/],
	['percent encoding', uri('spiffe://example.org/agents/%61'), /character/],
	['a NUL in it', uri('spiffe://example.org/agents/a\0b'), /ASCII/],
	['an umlaut in it', uri('spiffe://example.org/agents/ä'), /ASCII/],
	['no path', uri('spiffe://example.org'), /no path/],
	['65 segments', uri(`spiffe://example.org${'/a'.repeat(65)}`), /64 path segments/],
	['more than 2048 bytes', uri(`spiffe://example.org/${'a'.repeat(2048)}`), /2048 bytes/],
	['another trust domain', uri('spiffe://other.org/agents/a'), /no trust bundle for its trust domain other\.org/],
	['cA set', { basicConstraints: basicConstraints(true) }, /CA certificate/],
	['no key usage', { keyUsage: null }, /no key usage/],
	['key usage that is not critical', { keyUsage: keyUsage(['digitalSignature'], false) }, /not critical/],
	['keyCertSign', { keyUsage: keyUsage(['digitalSignature', 'keyCertSign']) }, /keyCertSign/],
	['cRLSign', { keyUsage: keyUsage(['digitalSignature', 'cRLSign']) }, /cRLSign/],
	['no digitalSignature', { keyUsage: keyUsage(['keyEncipherment']) }, /digitalSignature/],
	['no usage at all in key usage', { keyUsage: keyUsage([]) }, /digitalSignature/],
	['serverAuth only', { extendedKeyUsage: extendedKeyUsage([OID.serverAuth]) }, /clientAuth/],
	['clientAuth only', { extendedKeyUsage: extendedKeyUsage([OID.clientAuth]) }, /serverAuth/],
	[
		'anyExtendedKeyUsage in their place',
		{ extendedKeyUsage: extendedKeyUsage([OID.anyExtendedKeyUsage]) },
		/clientAuth/,
	],
	[
		'an unknown critical extension',
		{ more: [otherExtension('1.3.6.1.4.1.55555.1', Buffer.from([0x05, 0x00]), true)] },
		/1\.3\.6\.1\.4\.1\.55555\.1/,
	],
	['name constraints on a leaf', { more: [nameConstraints([{ kind: 'uri', value: 'example.org' }])] }, /2\.5\.29\.30/],
	['an extension twice', { more: [keyUsage(['digitalSignature'])] }, /twice/],
];

for (const [rule, parts, detail] of BROKEN) {
	test(`refused: ${rule}`, () => {
		const judged = judge(leaf(root, parts));
		assert.ok('cause' in judged, 'it was taken');
		assert.equal(judged.cause, 'identity_invalid');
		assert.match(judged.detail ?? '', detail);
	});
}

test('refused: nothing shown', () => {
	const judged = judgeSvid([], bundles, when);
	assert.equal('cause' in judged && judged.cause, 'identity_missing');
});

test('refused: no certificate but bytes, or one with bytes after it', () => {
	const good = leaf(root).certificate;
	for (const bytes of [
		Buffer.alloc(0),
		Buffer.from('hello'),
		good.subarray(0, -1),
		Buffer.concat([good, Buffer.from([0])]),
	]) {
		const judged = judgeSvid([bytes], bundles, when);
		assert.equal('cause' in judged && judged.cause, 'identity_invalid');
	}
});

test('time: expired and not yet valid are identity_expired, and the skew moves both ends', () => {
	const old = leaf(root, {}, { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR });
	const young = leaf(root, {}, { notBefore: NOW + HOUR, notAfter: NOW + 2 * HOUR });
	for (const made of [old, young]) {
		const judged = judge(made);
		assert.equal('cause' in judged && judged.cause, 'identity_expired');
		const skewed = judge(made, { now: NOW, skew: HOUR + 1000 });
		assert.ok(!('cause' in skewed), 'cause' in skewed ? skewed.detail : '');
	}
	const skewed = judge(old, { now: NOW, skew: 2 * HOUR });
	assert.equal('cause' in skewed ? 0 : skewed.notAfter, Math.floor((NOW - HOUR) / 1000) * 1000 + 2 * HOUR);
});

test('what is wrong and late is wrong, not late', () => {
	const judged = judge(leaf(ca('root'), {}, { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR }));
	assert.equal('cause' in judged && judged.cause, 'identity_invalid');
});

test('weak signatures and keys are refused', () => {
	const sha1 = judge(leaf(root, {}, { digest: 'sha1' }));
	assert.match(('cause' in sha1 && sha1.detail) || '', /signature algorithm/);
	const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
	const rsa = judge(leaf(root, {}, { key: short }));
	assert.match(('cause' in rsa && rsa.detail) || '', /2048 bits/);
	const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
	const curve = judge(leaf(root, {}, { key: odd }));
	assert.match(('cause' in curve && curve.detail) || '', /curve/);
});

test('an RSA key of 2048 bits is good', () => {
	const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
	assert.ok(!('cause' in judge(leaf(root, {}, { key }))));
});
