import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { KEY_USAGE, OID, readCertificate } from '../../src/formats/der-certificate.ts';
import {
	basicConstraints,
	extendedKeyUsage,
	type KeyUsageName,
	keyUsage,
	nameConstraints,
} from '../../src/identity/mint-extensions.ts';
import { AGENT, ca, leaf, NOW } from './pki.ts';

/** What is minted is read back, and OpenSSL reads the same. */

const root = ca('root');

function read(der: Buffer) {
	const facts = readCertificate(der);
	if ('broken' in facts) assert.fail(facts.broken);
	return facts;
}

test('a certificate is read as OpenSSL reads it', () => {
	const { certificate } = leaf(root, {
		names: [
			{ kind: 'uri', value: AGENT },
			{ kind: 'dns', value: 'a.example.org' },
			{ kind: 'ip', value: '7f000001' },
			{ kind: 'email', value: 'a@example.org' },
		],
	});
	const facts = read(certificate);
	const openssl = new X509Certificate(certificate);
	assert.equal(facts.serial, openssl.serialNumber);
	assert.equal(facts.notBefore, openssl.validFromDate.getTime());
	assert.equal(facts.notAfter, openssl.validToDate.getTime());
	assert.deepEqual(facts.extendedKeyUsage, openssl.keyUsage);
	assert.equal(openssl.subjectAltName, `URI:${AGENT}, DNS:a.example.org, IP Address:127.0.0.1, email:a@example.org`);
	assert.deepEqual(facts.names, [
		{ kind: 'uri', value: AGENT },
		{ kind: 'dns', value: 'a.example.org' },
		{ kind: 'ip', value: '7f000001' },
		{ kind: 'email', value: 'a@example.org' },
	]);
	assert.equal(facts.version, 3);
	assert.deepEqual(facts.basicConstraints, { ca: false });
	assert.deepEqual(
		facts.extensions.filter(({ critical }) => critical).map(({ oid }) => oid),
		[OID.basicConstraints, OID.keyUsage],
	);
	assert.equal(facts.authorityKeyId, read(root.certificate).subjectKeyId);
	assert.ok(facts.issuer.equals(read(root.certificate).subject));
});

test('every key usage, path length and purpose that is minted is read', () => {
	const names = Object.keys(KEY_USAGE).filter((name): name is KeyUsageName => name in KEY_USAGE);
	fc.assert(
		fc.property(fc.subarray(names), fc.option(fc.nat(100), { nil: undefined }), (usages, pathLength) => {
			const facts = read(
				ca('x', { keyUsage: keyUsage(usages), basicConstraints: basicConstraints(true, pathLength) }, { key: root.key })
					.certificate,
			);
			assert.deepEqual([...(facts.keyUsage ?? [])].sort(), usages.map(name => KEY_USAGE[name]).sort());
			assert.deepEqual(facts.basicConstraints, pathLength === undefined ? { ca: true } : { ca: true, pathLength });
		}),
		{ numRuns: 60 },
	);
	const purposes = ['1.2.840.113635.100.4.1', OID.clientAuth, '2.999.3'];
	assert.deepEqual(
		read(leaf(root, { extendedKeyUsage: extendedKeyUsage(purposes) }).certificate).extendedKeyUsage,
		purposes,
	);
});

test('name constraints are read', () => {
	const facts = read(
		ca('x', { more: [nameConstraints([{ kind: 'uri', value: 'example.org' }], [{ kind: 'dns', value: 'x' }])] })
			.certificate,
	);
	assert.deepEqual(facts.nameConstraints, {
		permitted: [{ kind: 'uri', value: 'example.org' }],
		excluded: [{ kind: 'dns', value: 'x' }],
	});
});

test('dates beyond 2049 are read', () => {
	const far = Date.UTC(2060, 1, 3, 4, 5, 6);
	assert.equal(read(leaf(root, {}, { notAfter: far }).certificate).notAfter, far);
});

test('a certificate with one byte changed, added or missing is read or refused, and never throws', () => {
	const { certificate } = leaf(root);
	fc.assert(
		fc.property(
			fc.nat(certificate.length - 1),
			fc.nat(255),
			fc.constantFrom('set', 'insert', 'remove', 'cut'),
			(at, byte, how) => {
				const head = certificate.subarray(0, at);
				const changed = {
					set: () => Buffer.concat([head, Buffer.of(byte), certificate.subarray(at + 1)]),
					insert: () => Buffer.concat([head, Buffer.of(byte), certificate.subarray(at)]),
					remove: () => Buffer.concat([head, certificate.subarray(at + 1)]),
					cut: () => head,
				}[how]();
				const facts = readCertificate(changed);
				if (how !== 'set') assert.ok('broken' in facts, 'lengths no longer fit');
				else assert.ok('broken' in facts || facts.notBefore <= NOW || facts.notBefore > NOW);
			},
		),
		{ numRuns: 1000 },
	);
});
