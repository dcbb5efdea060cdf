import assert from 'node:assert/strict';
import { createHmac, createPublicKey, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { JwtCallers } from '../../src/identity/jwt-callers.ts';
import { judgeJwtSvid, MAX_JWT } from '../../src/identity/jwt-svid.ts';
import type { JwtAuthorities } from '../../src/identity/trust.ts';
import { AGENT, AUDIENCE, base64url, ecKey, type JwtOrder, jwt, rsaKey, seconds, signatureOf } from '../support/jwt.ts';

/** Each rule of JWT-SVID.md, broken one at a time. */

const p256 = ecKey();
const p384 = ecKey('P-384');
const p521 = ecKey('P-521');
const rsa = rsaKey();
const foreign = ecKey();
const bundle = (keys: Readonly<Record<string, KeyObject>>): JwtAuthorities =>
	new Map(Object.entries(keys).map(([kid, key]) => [kid, createPublicKey(key)]));
const bundles = new Map([
	['example.org', bundle({ k: p256, p384, p521, rsa })],
	['partner.org', bundle({ k: foreign, theirs: foreign })],
	['empty.org', bundle({})],
]);
const rules = { audience: [AUDIENCE, 'other'], authorities: (domain: string) => bundles.get(domain) };
const now = (): { now: number; skew: number } => ({ now: Date.now(), skew: 0 });
const judge = (token: string, skew = 0) => judgeJwtSvid(token, rules, { ...now(), skew });

/** The three parts, one of them replaced before it is signed. */
function signed(header: string, payload: string, key = p256, alg = 'ES256'): string {
	return `${header}.${payload}.${base64url(signatureOf(alg, key, `${header}.${payload}`))}`;
}
const HEADER = base64url({ alg: 'ES256', kid: 'k' });
const CLAIMS = base64url({ sub: AGENT, aud: AUDIENCE, exp: seconds(300) });

test('every algorithm of the standard is taken with its own kind of key', () => {
	for (const [alg, kid, key] of [
		['ES256', 'k', p256],
		['ES384', 'p384', p384],
		['ES512', 'p521', p521],
		['RS256', 'rsa', rsa],
		['RS384', 'rsa', rsa],
		['RS512', 'rsa', rsa],
		['PS256', 'rsa', rsa],
		['PS384', 'rsa', rsa],
		['PS512', 'rsa', rsa],
	] as const) {
		const facts = judge(jwt({ key, alg, kid }));
		assert.ok(!('cause' in facts), `${alg}: ${JSON.stringify(facts)}`);
		assert.equal(facts.spiffeId.id, AGENT);
		assert.equal(facts.keyId, kid);
	}
});

test('what the standard leaves open is taken', () => {
	const good: Readonly<Record<string, JwtOrder>> = {
		'no typ': { key: p256, header: { typ: undefined } },
		'typ JOSE': { key: p256, header: { typ: 'JOSE' } },
		'one audience as a string': { key: p256, claims: { aud: 'other' } },
		'several audiences': { key: p256, claims: { aud: ['x', AUDIENCE] } },
		'more claims': { key: p256, claims: { iat: seconds(), jti: '1', scope: { a: [1] } } },
		'nbf in the past': { key: p256, claims: { nbf: seconds(-5) } },
		'another trust domain with its own key': { key: foreign, claims: { sub: 'spiffe://partner.org/a' } },
	};
	for (const [title, order] of Object.entries(good)) assert.ok('spiffeId' in judge(jwt(order)), title);
	assert.ok('spiffeId' in judge(jwt({ key: p256, claims: { exp: seconds(-2) } }), 5_000), 'expired within the leeway');
	assert.ok('spiffeId' in judge(jwt({ key: p256, claims: { nbf: seconds(3) } }), 5_000), 'early within the leeway');
});

const secret = createPublicKey(rsa).export({ format: 'pem', type: 'spki' });
const hmac = (key: string | Buffer, alg = 'HS256', kid = 'rsa'): string => {
	const text = `${base64url({ alg, kid, typ: 'JWT' })}.${CLAIMS}`;
	return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
};
const good = jwt({ key: p256 });
const [h = '', p = '', s = ''] = good.split('.');
const order = (claims: Readonly<Record<string, unknown>>): string => jwt({ key: p256, claims });
const header = (more: Readonly<Record<string, unknown>>): string => jwt({ key: p256, header: more });

/** Title, token, what is said of it. */
const BROKEN: readonly (readonly [string, string, RegExp])[] = [
	['none', `${base64url({ alg: 'none', kid: 'k' })}.${p}.${s}`, /algorithm/],
	['None', `${base64url({ alg: 'None', kid: 'k' })}.${p}.${s}`, /algorithm/],
	['none without a signature', `${base64url({ alg: 'none' })}.${p}.`, /cannot be read/],
	['no algorithm', header({ alg: undefined }), /algorithm/],
	['an algorithm that is no text', header({ alg: ['ES256'] }), /algorithm/],
	['HS256 with the RSA key as the secret', hmac(secret), /algorithm/],
	['HS256 that says RS256', hmac(secret, 'RS256'), /signature/],
	['EdDSA', header({ alg: 'EdDSA' }), /algorithm/],
	['ES256K', header({ alg: 'ES256K' }), /algorithm/],
	['a lower-case algorithm', header({ alg: 'es256' }), /algorithm/],
	['RS256 with a key of a curve', header({ alg: 'RS256' }), /not for its algorithm/],
	['PS256 with a key of a curve', header({ alg: 'PS256' }), /not for its algorithm/],
	['ES384 with P-256', header({ alg: 'ES384' }), /not for its algorithm/],
	['ES256 with P-384', jwt({ key: p384, kid: 'p384', alg: 'ES256' }), /not for its algorithm/],
	[
		'ES256 with an RSA key',
		jwt({ key: rsa, kid: 'rsa', alg: 'RS256', header: { alg: 'ES256' } }),
		/not for its algorithm/,
	],
	[
		'RS256 that was signed as PS256',
		jwt({ key: rsa, kid: 'rsa', alg: 'PS256', header: { alg: 'RS256' } }),
		/signature/,
	],
	[
		'PS256 that was signed as RS256',
		jwt({ key: rsa, kid: 'rsa', alg: 'RS256', header: { alg: 'PS256' } }),
		/signature/,
	],
	[
		'RS512 that was signed as RS256',
		jwt({ key: rsa, kid: 'rsa', alg: 'RS256', header: { alg: 'RS512' } }),
		/signature/,
	],
	['no key id', header({ kid: undefined }), /names no key/],
	['an empty key id', header({ kid: '' }), /names no key/],
	['a key id that is a number', header({ kid: 1 }), /names no key/],
	['a key that is not there', header({ kid: 'nobody' }), /does not have/],
	['a key id of an object', header({ kid: 'constructor' }), /does not have/],
	['jwk', header({ jwk: createPublicKey(foreign).export({ format: 'jwk' }) }), /parameter/],
	['jku', header({ jku: 'https://example.net/keys' }), /parameter/],
	['x5u', header({ x5u: 'https://example.net/cert' }), /parameter/],
	['x5c', header({ x5c: ['AAAA'] }), /parameter/],
	['crit', header({ crit: ['exp'] }), /parameter/],
	['b64', header({ b64: false, crit: ['b64'] }), /parameter/],
	['zip', header({ zip: 'DEF' }), /parameter/],
	['cty', header({ cty: 'JWT' }), /parameter/],
	['a typ of another kind', header({ typ: 'at+jwt' }), /typ/],
	['a key of our own name in another domain', jwt({ key: foreign }), /signature/],
	['a foreign key by its own id', jwt({ key: foreign, kid: 'theirs' }), /does not have/],
	['our key for a foreign id', order({ sub: 'spiffe://partner.org/a' }), /signature/],
	['a trust domain without keys', order({ sub: 'spiffe://empty.org/a' }), /no keys/],
	['a trust domain that is not known', order({ sub: 'spiffe://nobody.org/a' }), /no keys/],
	['no sub', order({ sub: undefined }), /no `sub`/],
	['a sub that is a list', order({ sub: [AGENT] }), /no `sub`/],
	['a sub that is no SPIFFE ID', order({ sub: 'agents/a' }), /no SPIFFE ID/],
	['a sub with a trailing slash', order({ sub: `${AGENT}/` }), /no SPIFFE ID/],
	['a sub in upper case', order({ sub: 'spiffe://EXAMPLE.org/agents/a' }), /no SPIFFE ID/],
	['a sub that is a trust domain', order({ sub: 'spiffe://example.org' }), /no workload/],
	['a sub of too many segments', order({ sub: `spiffe://example.org${'/a'.repeat(65)}` }), /64 path segments/],
	['no audience', order({ aud: undefined }), /no `aud`/],
	['an empty audience', order({ aud: [] }), /no `aud`/],
	['an audience that is an object', order({ aud: { [AUDIENCE]: true } }), /no `aud`/],
	['an audience with something else in it', order({ aud: [AUDIENCE, 1] }), /no `aud`/],
	['too many audiences', order({ aud: Array.from({ length: 65 }, () => AUDIENCE) }), /no `aud`/],
	['another audience', order({ aud: ['billing'] }), /another audience/],
	['an audience that begins like ours', order({ aud: `${AUDIENCE}/x` }), /another audience/],
	['no exp', order({ exp: undefined }), /no `exp`/],
	['an exp that is text', order({ exp: String(seconds(300)) }), /no `exp`/],
	['an exp of nothing', order({ exp: null }), /no `exp`/],
	['an exp beyond every date', order({ exp: 8.64e12 }), /no `exp`/],
	['an exp below zero', order({ exp: -1 }), /no `exp`/],
	['not valid yet', order({ nbf: seconds(60) }), /not valid yet/],
	['an nbf that is text', order({ nbf: '0' }), /`nbf`/],
	['two parts', `${h}.${p}`, /three parts/],
	['four parts', `${good}.x`, /three parts/],
	['five parts, as if it were encrypted', `${good}.x.y`, /three parts/],
	['nothing', '', /three parts/],
	['dots', '..', /cannot be read/],
	['an empty signature', `${h}.${p}.`, /cannot be read/],
	['padding', `${h}.${p}.${s}==`, /cannot be read/],
	['base64 of the other alphabet', `${h}.${p}.${s.slice(0, -2)}+/`, /cannot be read/],
	['space in it', `${h}. ${p}.${s}`, /cannot be read/],
	[
		'a signature of another token',
		`${h}.${base64url({ sub: AGENT, aud: AUDIENCE, exp: seconds(301) })}.${s}`,
		/signature/,
	],
	['a signature cut short', `${h}.${p}.${s.slice(0, 40)}`, /signature/],
	['a signature of zeros', `${h}.${p}.${base64url(Buffer.alloc(64))}`, /signature/],
	[
		'a signature in DER',
		`${h}.${p}.${base64url(Buffer.from(`3044${'02207f'.padEnd(68, '1')}${'02207f'.padEnd(68, '1')}`, 'hex'))}`,
		/signature/,
	],
	['a header that is no JSON', signed(base64url('{'), CLAIMS), /cannot be read/],
	['a header that is a list', signed(base64url([]), CLAIMS), /cannot be read/],
	[
		'a header with the same name twice',
		signed(base64url('{"alg":"ES256","kid":"k","alg":"none"}'), CLAIMS),
		/cannot be read/,
	],
	[
		'claims with the same name twice',
		signed(
			HEADER,
			base64url(`{"sub":"${AGENT}","sub":"spiffe://example.org/b","aud":"${AUDIENCE}","exp":${seconds(300)}}`),
		),
		/cannot be read/,
	],
	['claims that are a text', signed(HEADER, base64url('"x"')), /cannot be read/],
	['claims too deep', signed(HEADER, base64url(`{"x":${'['.repeat(20)}${']'.repeat(20)}}`)), /cannot be read/],
	['claims that are no UTF-8', signed(HEADER, base64url(Buffer.from([0x7b, 0xff, 0x7d]))), /cannot be read/],
	['too long', order({ pad: 'x'.repeat(MAX_JWT) }), /too long/],
];

for (const [title, token, says] of BROKEN) {
	test(`refused: ${title}`, () => {
		const refusal = judge(token);
		assert.ok('cause' in refusal, 'it was taken');
		assert.equal(refusal.cause, 'identity_invalid');
		assert.match(refusal.detail ?? '', says);
	});
}

test('refused: expired, which has a cause of its own, and one that expires this very moment', () => {
	for (const exp of [seconds(-1), seconds(0)]) {
		const refusal = judge(order({ exp }));
		assert.ok('cause' in refusal);
		assert.equal(refusal.cause, 'identity_expired');
	}
});

test('one bit anywhere in it makes it bad', () => {
	for (let place = 0; place < good.length; place += 3) {
		const bytes = Buffer.from(good, 'latin1');
		bytes[place] = (bytes[place] ?? 0) ^ 1;
		assert.ok('cause' in judge(bytes.toString('latin1')), `character ${place}`);
	}
});

test('one that was found good is remembered until it expires and while its key is there, at most so many', () => {
	let clock = Date.now();
	let keys = bundle({ k: p256 });
	let asked = 0;
	const callers = new JwtCallers([AUDIENCE], {
		authorities: domain => {
			asked++;
			return domain === 'example.org' ? keys : undefined;
		},
		when: () => ({ now: clock, skew: 0 }),
	});
	const first = callers.identify(good);
	assert.ok('agent' in first);
	assert.equal(first.authentication, 'jwt_svid');
	assert.equal(callers.identify(good), first, 'the same object: nothing was made anew');
	assert.equal(callers.size, 1);
	assert.ok('cause' in callers.identify(`${good.slice(0, -2)}AA`), 'another signature is another token');
	assert.equal(callers.size, 1, 'what is refused is not remembered');

	keys = bundle({ k: ecKey() });
	const replaced = callers.identify(good);
	assert.ok('cause' in replaced, 'another key of the same id');
	assert.equal(callers.size, 0);
	keys = bundle({ k: p256 });
	assert.ok('agent' in callers.identify(good));
	keys = new Map();
	assert.ok('cause' in callers.identify(good), 'the key was withdrawn');

	keys = bundle({ k: p256 });
	assert.ok('agent' in callers.identify(good));
	clock += 301_000;
	const expired = callers.identify(good);
	assert.ok('cause' in expired);
	assert.equal(expired.cause, 'identity_expired');
	clock = Date.now();

	for (let number = 0; number < 4200; number++) callers.identify(jwt({ key: p256, claims: { jti: number } }));
	assert.equal(callers.size, 4096);
	assert.ok(asked > 0);
});
