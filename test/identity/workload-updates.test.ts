import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newKey } from '../../src/identity/mint.ts';
import { authority, given, svidOf } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { field, type GivenSvid, x509Message } from '../support/workload-api.ts';
import { leaf, NOW } from './pki.ts';
import { open } from './workload.ts';

/** Answers of the Workload API that are not to be taken, and those that end the SVID. */

const root = authority('example.org');
const other = authority('example.org');
const ID = 'spiffe://example.org/sallyport';
const own = svidOf(root, ID);
const good = given(root);
const pkcs8 = (key = newKey()): Buffer => key.export({ type: 'pkcs8', format: 'der' });

const BROKEN: readonly [name: string, answer: GivenSvid | Buffer, why: RegExp][] = [
	['bytes that are no message', Buffer.from('rubbish'), /^X509SVIDResponse: /],
	['a message that is cut off', x509Message({ svids: [good] }).subarray(0, -5), /cut off/],
	['an SVID that says its id twice', field(1, Buffer.concat([field(1, ID), field(1, ID)])), /there twice/],
	['an id that is not UTF-8', field(1, field(1, Buffer.from([0xff, 0xfe]))), /not UTF-8/],
	['a certificate that is none', { ...good, svid: Buffer.from('3003020101', 'hex') }, /^certificate: /],
	['no certificate', { ...good, svid: Buffer.alloc(0), key: pkcs8() }, /^certificate: it is empty/],
	[
		'bytes after the certificate',
		{ ...good, svid: Buffer.concat([own.certificate, Buffer.from([0])]), key: pkcs8(own.key) },
		/^certificate: /,
	],
	['a key of another certificate', { ...good, key: pkcs8() }, /^key: it does not belong/],
	['a key that is none', { ...good, key: Buffer.from('rubbish') }, /^key: it is not an unencrypted/],
	['no key', { ...good, key: Buffer.alloc(0) }, /^key: /],
	['a chain that does not end in its own bundle', { ...good, bundle: [other] }, /not issued by a CA/],
	['a bundle that is none', { ...good, bundle: Buffer.from('rubbish') }, /^trust bundle: /],
	['a bundle of leaves', { ...good, bundle: [own] }, /^trust bundle: .*not one of a CA/],
	[
		'another id than its certificate has',
		{ ...good, id: 'spiffe://example.org/other' },
		/it says it is another's|says it is another/,
	],
	[
		'an id of another trust domain',
		given(authority('other.org'), 'spiffe://other.org/sallyport'),
		/its trust domain is other\.org/,
	],
	['an expired SVID', { ...good, svid: [svidOf(root, ID, { lifetime: -1000 })] }, /expired/],
	[
		'an SVID that breaks a rule',
		{
			id: ID,
			svid: [leaf(root, { names: [{ kind: 'uri', value: ID }], extendedKeyUsage: null, keyUsage: null })],
			bundle: [root],
		},
		/no key usage/,
	],
	[
		'an SVID of tomorrow',
		{
			id: ID,
			svid: [
				leaf(
					root,
					{ names: [{ kind: 'uri', value: ID }] },
					{ notBefore: NOW + 60_000_000, notAfter: NOW + 90_000_000 },
				),
			],
			bundle: [root],
		},
		/not valid before/,
	],
];

for (const [name, answer, why] of BROKEN) {
	test(`not taken: ${name}`, async t => {
		const { api, identity, reloads } = await open(t, { prepare: one => one.give({ svids: [good] }) });
		const before = await until(() => identity.current(), 'the first SVID');
		const message = Buffer.isBuffer(answer) ? answer : x509Message({ svids: [answer] });
		api.giveBytes(message);
		const reload = await until(() => reloads.find(({ taken }) => !taken), 'it is reported');
		assert.match(reload.taken ? '' : reload.broken, why);
		assert.doesNotMatch(JSON.stringify(reload), /PRIVATE/);
		assert.equal(identity.current(), before);
		assert.equal(identity.problem(), undefined);
		assert.match(identity.status().broken ?? '', why);
		assert.match((await identity.reload())?.broken ?? '', why);

		// Again the same is not told again; what is good is taken.
		api.giveBytes(message);
		api.give({ svids: [given(root)] });
		await until(() => identity.current() !== before, 'a good one is taken');
		assert.equal(reloads.filter(({ taken }) => !taken).length, 1);
		assert.equal(identity.status().broken, undefined);
	});
}

test('a message that is too large breaks the stream, and the SVID stays', async t => {
	const { api, identity } = await open(t, { prepare: one => one.give({ svids: [good] }) });
	const before = await until(() => identity.current(), 'the first SVID');
	api.giveBytes(Buffer.concat([x509Message({ svids: [good] }), field(99, Buffer.alloc(5 * 1024 * 1024))]));
	await until(() => /larger than max|max/i.test(identity.status().source.problem ?? ''), 'it is noticed');
	assert.equal(identity.current(), before);
	api.give({ svids: [given(root)] });
	await until(() => identity.current() !== before, 'a good one is taken', 20_000);
});

test('fields that nobody knows are skipped', async t => {
	const { api, identity } = await open(t);
	api.giveBytes(Buffer.concat([field(77, 'new'), x509Message({ svids: [good] }), Buffer.from([0xf8, 0x06, 0x2a])]));
	await until(() => identity.current(), 'the SVID is in force');
});

test('before the first good answer a broken one leaves none, and says so', async t => {
	const { identity } = await open(t, { prepare: one => one.give({ svids: [{ ...good, key: pkcs8() }] }) });
	await until(() => /is not valid/.test(identity.problem()?.detail ?? ''), 'it is noticed');
	assert.match(identity.status().broken ?? '', /^key: /);
});

test('an answer without an SVID, and one with an empty trust bundle, end the SVID until a better one', async t => {
	for (const [answer, why] of [
		[{ svids: [] }, /gives Sallyport no SVID/],
		[{ svids: [{ ...good, bundle: Buffer.alloc(0) }] }, /trust bundle of Sallyport's trust domain is empty/],
	] as const) {
		const { api, identity } = await open(t, { prepare: one => one.give({ svids: [good] }) });
		await until(() => identity.current(), 'the first SVID');
		api.give(answer);
		await until(() => identity.current() === undefined, 'the SVID is withdrawn');
		assert.match(identity.problem()?.detail ?? '', why);
		assert.deepEqual(identity.trustAnchors(), []);
		api.give({ svids: [good] });
		await until(() => identity.current(), 'the SVID is back');
	}
});

const SEVERAL = [
	{ ...given(root, 'spiffe://example.org/first'), hint: 'one' },
	{ ...given(root, 'spiffe://example.org/second'), hint: 'two' },
	{ ...given(root, 'spiffe://example.org/third'), hint: 'two' },
];

test('of several SVIDs the first is taken, or the one that is chosen by hint or id', async t => {
	for (const [svid, expected] of [
		[undefined, 'spiffe://example.org/first'],
		[{ hint: 'two' }, 'spiffe://example.org/second'],
		[{ id: 'spiffe://example.org/third' }, 'spiffe://example.org/third'],
	] as const) {
		const { identity } = await open(t, {
			...(svid === undefined ? {} : { svid }),
			prepare: one => one.give({ svids: SEVERAL }),
		});
		assert.equal((await until(() => identity.current(), 'the SVID is in force')).spiffeId.id, expected);
	}
});

test('when the chosen one is not there, there is none; what is wrong with those not chosen does not matter', async t => {
	const { api, identity } = await open(t, { svid: { hint: 'two' }, prepare: one => one.give({ svids: SEVERAL }) });
	await until(() => identity.current(), 'the SVID is in force');
	api.give({ svids: SEVERAL.slice(0, 1) });
	await until(() => identity.current() === undefined, 'the SVID is withdrawn');
	assert.match(identity.problem()?.detail ?? '', /does not give Sallyport the SVID that the configuration chooses/);
	assert.match(
		identity.status().source.problem ?? '',
		/none of its 1 SVIDs .*spiffe:\/\/example\.org\/first \(hint one\)/,
	);
	api.give({ svids: [{ ...good, key: pkcs8() }, ...SEVERAL.slice(1)] });
	await until(() => identity.current(), 'the SVID is back');
});
