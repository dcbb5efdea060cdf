import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OID } from '../../src/formats/der-certificate.ts';
import { keyToPem, type Minted } from '../../src/identity/mint.ts';
import { basicConstraints, extendedKeyUsage } from '../../src/identity/mint-extensions.ts';
import {
	AGENT,
	bundleOf,
	bundlesOf,
	ca,
	HOUR,
	leaf,
	leafOf,
	NOW,
	pem,
	sallyport,
	show,
	trialServer,
	visit,
} from './pki.ts';

/** Real handshakes over loopback, in both versions of TLS. */

const root = ca('root');
const other = ca('other root');
const issuing = ca('issuing', {}, { issuer: root });
const second = ca('second', {}, { issuer: issuing });
const svid = sallyport(root);

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

const CASES: readonly [name: string, chain: readonly Minted[], expected: RegExp][] = [
	['a good SVID', [leaf(root)], new RegExp(`^${AGENT}$`)],
	['one over an intermediate', [leaf(issuing), issuing], new RegExp(`^${AGENT}$`)],
	['one over two intermediates', [leaf(second), second, issuing], new RegExp(`^${AGENT}$`)],
	[
		'one over two intermediates, mixed up, with the root',
		[leaf(second), root, issuing, second],
		new RegExp(`^${AGENT}$`),
	],
	['nothing', [], /^identity_missing/],
	['a missing intermediate', [leaf(issuing)], /^identity_invalid: .*not issued by a CA/],
	[
		'two URI names',
		[
			leaf(root, {
				names: [
					{ kind: 'uri', value: AGENT },
					{ kind: 'uri', value: `${AGENT}2` },
				],
			}),
		],
		/^identity_invalid: .*2 URI names/,
	],
	[
		'one that is no SPIFFE ID',
		[leaf(root, { names: [{ kind: 'uri', value: 'https://example.org/' }] })],
		/^identity_invalid: .*scheme/,
	],
	['no names', [leaf(root, { names: null })], /^identity_invalid: .*no URI name/],
	[
		'a CA certificate',
		[leaf(root, { basicConstraints: basicConstraints(true) })],
		/^identity_invalid: .*CA certificate/,
	],
	[
		'serverAuth only',
		[leaf(root, { extendedKeyUsage: extendedKeyUsage([OID.serverAuth]) })],
		/^identity_invalid: .*clientAuth/,
	],
	['an expired one', [leaf(root, {}, { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR })], /^identity_expired/],
	['one of tomorrow', [leaf(root, {}, { notBefore: NOW + HOUR, notAfter: NOW + 2 * HOUR })], /^identity_expired/],
	['one of another CA', [leaf(other)], /^identity_invalid: .*not issued by a CA/],
	['one of another CA, which is shown too', [leaf(other), other], /^identity_invalid: .*not issued by a CA/],
	['a foreign trust domain', [leafOf(root, 'spiffe://other.org/agents/a')], /^identity_invalid: .*other\.org/],
];

for (const version of VERSIONS) {
	for (const [name, chain, expected] of CASES) {
		test(`${version}: ${name}`, async t => {
			const server = await trialServer(t, svid);
			const [agent] = chain;
			const shown = agent === undefined ? {} : { cert: pem(...chain), key: keyToPem(agent.key) };
			const [seen] = await Promise.all([
				server.next(),
				visit(server.port, { ca: pem(root), minVersion: version, maxVersion: version, ...shown }),
			]);
			assert.match(show(seen), expected);
			assert.equal(seen.protocol, version);
		});
	}
}

test('the identity says mtls, the serial, and until when', async t => {
	const server = await trialServer(t, svid);
	const agent = leaf(root);
	const [{ judged }] = await Promise.all([
		server.next(),
		visit(server.port, { ca: pem(root), cert: pem(agent), key: keyToPem(agent.key) }),
	]);
	if ('cause' in judged) assert.fail(judged.detail);
	assert.equal(judged.authentication, 'mtls');
	assert.match(judged.serial ?? '', /^[0-9A-F]{32}$/);
	assert.equal(judged.notAfter, Math.floor((NOW + HOUR) / 1000) * 1000);
	assert.equal(JSON.parse(judged.json).id, AGENT);
});

test('with several bundles OpenSSL knows all CAs, and still each counts for its own domain only', async t => {
	const trust = bundlesOf(bundleOf('example.org', root), bundleOf('other.org', other));
	const server = await trialServer(t, svid, { trust });
	const cases: readonly [Minted, RegExp][] = [
		[leaf(root), new RegExp(`^${AGENT}$`)],
		[leafOf(other, 'spiffe://other.org/agents/a'), /^spiffe:\/\/other\.org\/agents\/a$/],
		[leaf(other), /^identity_invalid/],
		[leafOf(root, 'spiffe://other.org/agents/a'), /^identity_invalid/],
	];
	for (const [agent, expected] of cases) {
		const [seen] = await Promise.all([
			server.next(),
			visit(server.port, { ca: pem(root), cert: pem(agent), key: keyToPem(agent.key) }),
		]);
		assert.match(show(seen), expected);
	}
});

test('the skew lets in what OpenSSL calls expired, and only that', async t => {
	const skewed = { when: () => ({ now: NOW, skew: 2 * HOUR }) };
	const server = await trialServer(t, svid, skewed);
	const times = { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR };
	const cases: readonly [Minted, RegExp][] = [
		[leaf(root, {}, times), new RegExp(`^${AGENT}$`)],
		[leaf(other, {}, times), /^identity_invalid/],
	];
	for (const [agent, expected] of cases) {
		const [seen] = await Promise.all([
			server.next(),
			visit(server.port, { ca: pem(root), cert: pem(agent), key: keyToPem(agent.key) }),
		]);
		assert.match(show(seen), expected);
	}
});

test('TLS 1.1 and ciphers without forward secrecy find no door', async t => {
	const server = await trialServer(t, svid);
	const agent = leaf(root);
	const shown = { ca: pem(root), cert: pem(agent), key: keyToPem(agent.key) };
	const old = await visit(server.port, {
		...shown,
		minVersion: 'TLSv1.1',
		maxVersion: 'TLSv1.1',
		ciphers: 'DEFAULT:@SECLEVEL=0',
	});
	assert.ok(old.error);
	const weak = await visit(server.port, { ...shown, maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' });
	assert.ok(weak.error);
});
