import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OID } from '../../src/formats/der-certificate.ts';
import { type Minted, newKey } from '../../src/identity/mint.ts';
import {
	basicConstraints,
	extendedKeyUsage,
	keyUsage,
	nameConstraints,
	otherExtension,
} from '../../src/identity/mint-extensions.ts';
import { judgeSvid } from '../../src/identity/rules.ts';
import { AGENT, bundleOf, bundlesOf, type CaParts, ca, HOUR, leaf, leafOf, NOW } from './pki.ts';

const root = ca('root');
const bundles = bundlesOf(bundleOf('example.org', root));
const when = { now: NOW, skew: 0 };
const judge = (...chain: Minted[]) =>
	judgeSvid(
		chain.map(({ certificate }) => certificate),
		bundles,
		when,
	);

function taken(...chain: Minted[]) {
	const judged = judge(...chain);
	if ('cause' in judged) assert.fail(`${judged.cause}: ${judged.detail}`);
	return judged;
}

function refusedWith(detail: RegExp, cause: string, ...chain: Minted[]): void {
	const judged = judge(...chain);
	assert.ok('cause' in judged, 'it was taken');
	assert.match(judged.detail ?? '', detail);
	assert.equal(judged.cause, cause);
}

test('a path goes over the intermediates that were shown, in any order', () => {
	const first = ca('first', {}, { issuer: root });
	const second = ca('second', {}, { issuer: first });
	const agent = leaf(second);
	assert.equal(taken(agent, second, first).intermediates.length, 2);
	taken(agent, first, second);
	taken(agent, second, first, root);
	refusedWith(/not issued by a CA/, 'identity_invalid', agent, first);
});

test('an intermediate that is in the bundle is an anchor', () => {
	const issuing = ca('issuing', {}, { issuer: root });
	const only = bundlesOf(bundleOf('example.org', issuing));
	const judged = judgeSvid([leaf(issuing).certificate], only, when);
	assert.ok(!('cause' in judged));
});

test('another CA of the same name is not the CA', () => {
	refusedWith(/not issued by a CA/, 'identity_invalid', leaf(ca('root')));
	const own = ca('root');
	refusedWith(/not issued by a CA|does not verify/, 'identity_invalid', leaf(own), own);
});

test('a leaf that was changed after it was signed is refused', () => {
	const { certificate, key } = leafOf(root, 'spiffe://example.org/agents/aaaa');
	const at = certificate.indexOf('agents/aaaa');
	certificate.write('agents/bbbb', at, 'latin1');
	refusedWith(/does not verify/, 'identity_invalid', { certificate, key });
});

test('a leaf cannot issue', () => {
	const agent = leaf(root, {}, { subject: [['CN', 'agent']] });
	refusedWith(/it is not a CA/, 'identity_invalid', leaf(agent), agent);
	// Even with the key usage of a CA, without cA it is none.
	const half = ca('half', { basicConstraints: basicConstraints(false) }, { issuer: root });
	refusedWith(/not a CA|not issued by a CA/, 'identity_invalid', leaf(half), half);
});

const through = (parts: CaParts): Minted[] => {
	const issuing = ca('issuing', parts, { issuer: root });
	return [leaf(issuing), issuing];
};

test('an issuing CA keeps the rules for CAs', () => {
	refusedWith(/not a CA/, 'identity_invalid', ...through({ basicConstraints: null }));
	refusedWith(/keyCertSign/, 'identity_invalid', ...through({ keyUsage: null }));
	refusedWith(
		/keyCertSign|not issued/,
		'identity_invalid',
		...through({ keyUsage: keyUsage(['digitalSignature', 'cRLSign']) }),
	);
	refusedWith(
		/1\.3\.6\.1\.4\.1\.55555\.1/,
		'identity_invalid',
		...through({ more: [otherExtension('1.3.6.1.4.1.55555.1', Buffer.from([5, 0]), true)] }),
	);
	refusedWith(/extended key usage/, 'identity_invalid', ...through({ more: [extendedKeyUsage([OID.serverAuth])] }));
	taken(...through({ more: [extendedKeyUsage([OID.serverAuth, OID.clientAuth])] }));
	taken(...through({ more: [extendedKeyUsage([OID.anyExtendedKeyUsage])] }));
});

test('path lengths hold', () => {
	const first = ca('first', { basicConstraints: basicConstraints(true, 0) }, { issuer: root });
	taken(leaf(first), first);
	const second = ca('second', {}, { issuer: first });
	refusedWith(/path length/, 'identity_invalid', leaf(second), second, first);
	const roomy = ca('roomy', { basicConstraints: basicConstraints(true, 1) }, { issuer: root });
	const below = ca('below', {}, { issuer: roomy });
	taken(leaf(below), below, roomy);
});

test('an expired CA ends everything below it, and so does an expired anchor', () => {
	const old = ca('old', {}, { issuer: root, notAfter: NOW - HOUR });
	refusedWith(/expired/, 'identity_expired', leaf(old), old);
	const oldRoot = ca('old root', {}, { notAfter: NOW - HOUR });
	const judged = judgeSvid([leaf(oldRoot).certificate], bundlesOf(bundleOf('example.org', oldRoot)), when);
	assert.equal('cause' in judged && judged.cause, 'identity_expired');
});

test('the end of an identity is the earliest in its path', () => {
	const short = ca('short', {}, { issuer: root, notAfter: NOW + HOUR / 2 });
	assert.equal(taken(leaf(short), short).notAfter, Math.floor((NOW + HOUR / 2) / 1000) * 1000);
});

test('of two paths the good one counts: a CA that was renewed, and one that was signed across', () => {
	const key = newKey();
	const expired = ca('issuing', {}, { issuer: root, key, notAfter: NOW - HOUR });
	const renewed = ca('issuing', {}, { issuer: root, key });
	taken(leaf(renewed), expired, renewed);
	taken(leaf(renewed), renewed, expired);
	const foreign = ca('foreign');
	const across = ca('issuing', {}, { issuer: foreign, key });
	taken(leaf(renewed), across, renewed);
});

test('bundles are not merged: each trust domain is judged by its own CAs alone', () => {
	const other = ca('other root');
	const both = bundlesOf(bundleOf('example.org', root), bundleOf('other.org', other));
	const by = (issuer: Minted, id: string) => judgeSvid([leafOf(issuer, id).certificate], both, when);
	assert.ok(!('cause' in by(root, AGENT)));
	assert.ok(!('cause' in by(other, 'spiffe://other.org/agents/a')));
	for (const judged of [by(other, AGENT), by(root, 'spiffe://other.org/agents/a')]) {
		assert.equal('cause' in judged && judged.cause, 'identity_invalid');
	}
});

test('an empty bundle trusts nothing', () => {
	const judged = judgeSvid([leaf(root).certificate], bundlesOf(bundleOf('example.org')), when);
	assert.equal('cause' in judged && judged.cause, 'identity_invalid');
});

test('name constraints hold for trust domains', () => {
	const permit = (value: string) => through({ more: [nameConstraints([{ kind: 'uri', value }])] });
	taken(...permit('example.org'));
	refusedWith(/not permitted/, 'identity_invalid', ...permit('other.org'));
	refusedWith(/not permitted/, 'identity_invalid', ...permit('.example.org'));
	refusedWith(/not permitted/, 'identity_invalid', ...permit(''));
	refusedWith(
		/not permitted/,
		'identity_invalid',
		...through({ more: [nameConstraints([{ kind: 'uri', value: 'other.org' }], [], false)] }),
	);
	const exclude = (value: string) => through({ more: [nameConstraints([], [{ kind: 'uri', value }])] });
	taken(...exclude('other.org'));
	refusedWith(/excluded/, 'identity_invalid', ...exclude('example.org'));
	refusedWith(/excluded/, 'identity_invalid', ...exclude(''));
	// One for DNS names says nothing about a certificate without one.
	taken(...through({ more: [nameConstraints([{ kind: 'dns', value: 'other.org' }])] }));
	const issuing = ca('issuing', { more: [nameConstraints([{ kind: 'dns', value: 'example.org' }])] }, { issuer: root });
	const named = (dns: string) =>
		leaf(issuing, {
			names: [
				{ kind: 'uri', value: AGENT },
				{ kind: 'dns', value: dns },
			],
		});
	taken(named('example.org'), issuing);
	taken(named('a.example.org'), issuing);
	refusedWith(/not permitted/, 'identity_invalid', named('notexample.org'), issuing);
	// An address is of a kind that is not compared; a constraint on it refuses.
	const byIp = ca('by ip', { more: [nameConstraints([{ kind: 'ip', value: '0a000000ff000000' }])] }, { issuer: root });
	taken(leaf(byIp), byIp);
	refusedWith(
		/cannot be judged/,
		'identity_invalid',
		leaf(byIp, {
			names: [
				{ kind: 'uri', value: AGENT },
				{ kind: 'ip', value: '0a000001' },
			],
		}),
		byIp,
	);
});

test('a chain is bounded: certificates, depth, and signatures', () => {
	const agent = leaf(root);
	refusedWith(/more than 9 other/, 'identity_invalid', agent, ...Array.from({ length: 10 }, () => root));
	// Nine CAs of one name and key that all issue each other: factorially many paths, none of which ends.
	const key = newKey();
	const hall = ca('mirror', {}, { key });
	const mirrors = Array.from({ length: 9 }, (_, index) =>
		ca('mirror', {}, { key, issuer: hall, notAfter: NOW + HOUR + index * 1000 }),
	);
	const begun = performance.now();
	refusedWith(/signatures to be checked/, 'identity_invalid', leaf(hall), ...mirrors);
	assert.ok(performance.now() - begun < 5000);
	let issuer = root;
	const deep: Minted[] = [];
	for (let depth = 0; depth < 8; depth += 1) {
		issuer = ca(`ca ${depth}`, {}, { issuer });
		deep.unshift(issuer);
	}
	refusedWith(/not issued/, 'identity_invalid', leaf(issuer), ...deep);
});

test('bytes in the chain that are no certificate refuse', () => {
	const judged = judgeSvid([leaf(root).certificate, Buffer.from('x')], bundles, when);
	assert.match(('cause' in judged && judged.detail) || '', /chain cannot be read/);
});
