import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newKey } from '../../src/identity/mint.ts';
import { authority, bundleDocument, given } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { open } from './workload.ts';

/** Sallyport's own JWT-SVIDs, and the keys by which those of others are judged. */

const root = authority('example.org');
const ID = 'spiffe://example.org/sallyport';

let minted = 0;
/** No signature that anybody could check: whoever fetches one does not. */
function token(claims: Readonly<Record<string, unknown>>): string {
	const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
	return `${part({ alg: 'ES256' })}.${part({ ...claims, jti: ++minted })}.c2lnbmF0dXJl`;
}
const seconds = (from = 0): number => Math.floor((Date.now() + from) / 1000);
const good = (aud: string, sub: string, life = 300_000) => token({ sub, aud: [aud], exp: seconds(life) });

test('one is fetched per audience, for the identity in force, and kept; fetches at once are one', async t => {
	const { api, identity } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	const asked: string[] = [];
	api.onJwtSvid((audience, id) => {
		asked.push(`${audience} ${id}`);
		return good(audience, id);
	});
	await until(() => identity.current(), 'the SVID is in force');
	const [one, two] = await Promise.all([identity.jwtSvid('crm'), identity.jwtSvid('crm')]);
	assert.ok('token' in one && 'token' in two);
	assert.equal(one.token, two.token);
	assert.ok(one.expires > Date.now() + 290_000);
	assert.deepEqual(await identity.jwtSvid('crm'), one);
	assert.notDeepEqual(await identity.jwtSvid('billing'), one);
	assert.deepEqual(asked, [`crm ${ID}`, `billing ${ID}`]);
});

test('it is renewed in the background from half its life on, and fetched anew near its end', async t => {
	const { api, identity, later } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	let shift = 0;
	api.onJwtSvid((audience, id) => token({ sub: id, aud: audience, exp: seconds(300_000 + shift) }));
	await until(() => identity.current(), 'the SVID is in force');
	const first = await identity.jwtSvid('crm');
	shift = 160_000;
	later(shift);
	assert.deepEqual(await identity.jwtSvid('crm'), first);
	await until(() => api.calls('FetchJWTSVID') === 2, 'another is fetched');
	const second = await until(async () => {
		const now = await identity.jwtSvid('crm');
		return 'token' in now && 'token' in first && now.token !== first.token && now;
	}, 'the new one is handed out');
	// While nobody gives a new one, the old one is good until near its end.
	api.onJwtSvid(() => ({ code: 14 }));
	later(200_000);
	assert.deepEqual(await identity.jwtSvid('crm'), second);
	later(95_000);
	const late = await identity.jwtSvid('crm');
	assert.match('broken' in late ? late.broken : '', /the Workload API refuses it: as told/);
});

test('a failure is not asked for again at once', async t => {
	const { api, identity } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	api.onJwtSvid(() => ({ code: 7 }));
	await until(() => identity.current(), 'the SVID is in force');
	for (let i = 0; i < 5; i++) assert.ok('broken' in (await identity.jwtSvid('crm')));
	assert.equal(api.calls('FetchJWTSVID'), 1);
});

test('what is not what was asked for is not handed out, and stands in no error', async t => {
	const { api, identity, later } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	await until(() => identity.current(), 'the SVID is in force');
	const cases: readonly [string, RegExp][] = [
		['rubbish', /no JWT/],
		[`${token({})}x.y`, /no JWT/],
		['a.bm90anNvbg.c', /no JWT/],
		[token({ sub: 'spiffe://example.org/other', aud: 'a', exp: seconds(300_000) }), /another identity/],
		[token({ sub: ID, aud: 'other', exp: seconds(300_000) }), /another audience/],
		[token({ sub: ID, exp: seconds(300_000) }), /another audience/],
		[token({ sub: ID, aud: ['a'] }), /no expiration time/],
		[token({ sub: ID, aud: ['a'], exp: seconds(5_000) }), /has expired, or is about to/],
		[`${token({ sub: ID, aud: ['a'], exp: seconds(300_000) })}${'x'.repeat(20_000)}`, /no JWT/],
	];
	for (const [answer, why] of cases) {
		api.onJwtSvid(() => answer);
		const result = await identity.jwtSvid('a');
		assert.match('broken' in result ? result.broken : 'taken', why);
		assert.ok(!JSON.stringify(result).includes(answer));
		// The pause after a failure is over.
		later(1100);
	}
});

test('without an SVID there is none, and those of an identity that was withdrawn are forgotten', async t => {
	const { api, identity } = await open(t);
	const none = await identity.jwtSvid('crm');
	assert.match('broken' in none ? none.broken : '', /has no SVID/);
	api.onJwtSvid((audience, id) => good(audience, id));
	api.give({ svids: [given(root)] });
	await until(() => identity.current(), 'the SVID is in force');
	const first = await until(async () => {
		const svid = await identity.jwtSvid('crm');
		return 'token' in svid && svid;
	}, 'one is fetched');
	api.fail(7, 'no identity issued');
	await until(() => identity.current() === undefined, 'the SVID is withdrawn');
	assert.ok('broken' in (await identity.jwtSvid('crm')));
	api.give({ svids: [given(root)] });
	await until(() => identity.current(), 'the SVID is back');
	const second = await until(async () => {
		const svid = await identity.jwtSvid('crm');
		return 'token' in svid && svid;
	}, 'another is fetched');
	assert.notEqual(second.token, first.token);
});

test('keys for JWT-SVIDs come by domain, and are withdrawn with what the stream says', async t => {
	const { api, identity } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	api.giveJwt({
		'example.org': bundleDocument([], { jwt: { a: newKey() } }),
		'partner.org': JSON.stringify({ keys: [] }),
	});
	await until(() => identity.jwtAuthorities('example.org'), 'the keys are there');
	assert.deepEqual([...(identity.jwtAuthorities('example.org')?.keys() ?? [])], ['a']);
	assert.equal(identity.jwtAuthorities('partner.org')?.size, 0);
	assert.equal(identity.jwtAuthorities('other.org'), undefined);

	api.giveJwt({ 'example.org': bundleDocument([], { jwt: { b: newKey() } }), 'partner.org': 'rubbish' });
	await until(() => identity.jwtAuthorities('example.org')?.has('b'), 'the keys are renewed');
	assert.equal(identity.jwtAuthorities('example.org')?.has('a'), false);
	assert.equal(identity.jwtAuthorities('partner.org')?.size, 0);
	assert.match(identity.status().source.jwtProblem ?? '', /^partner\.org: /);

	api.fail(7, 'no identity issued', 'FetchJWTBundles');
	await until(() => identity.jwtAuthorities('example.org') === undefined, 'the keys are withdrawn');
	assert.ok(identity.current(), 'the SVID is another matter');
	api.giveJwt({ 'example.org': bundleDocument([], { jwt: { c: newKey() } }) });
	await until(() => identity.jwtAuthorities('example.org')?.has('c'), 'they are back');
});
