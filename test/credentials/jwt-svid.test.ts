import assert from 'node:assert/strict';
import { test } from 'node:test';
import { given } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { startWorkloadApi } from '../support/workload-api.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { openStage } from './stage.ts';

const token = (sub: string, aud: string, n: number): string => {
	const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
	return `${part({ alg: 'ES256' })}.${part({ sub, aud: [aud], exp: Math.floor(Date.now() / 1000) + 300, n })}.c2lnbmF0dXJl`;
};

test("an upstream is shown Sallyport's own JWT-SVID for its audience, of the identity in force, or nothing is sent", async t => {
	const workspace = makeWorkspace(t);
	const api = await startWorkloadApi(t, workspace.path('api.sock'));
	const own = workspace.authority;
	api.give({ svids: [given(own)] });
	let n = 0;
	const made: string[] = [];
	api.onJwtSvid((audience, id) => {
		made.push(token(id, audience, ++n));
		return made.at(-1) ?? '';
	});
	const stage = await openStage(
		t,
		{ name: 'mesh', jwt_svid: { audience: 'crm.example' } },
		{
			workspace,
			env: { SPIFFE_ENDPOINT_SOCKET: api.socket },
			config: { identity: { trust_domain: 'example.org', svid: { workload_api: {} } } },
		},
	);
	const used = (): string | undefined => stage.crm.seen.at(-1)?.header('authorization');
	await until(async () => (await stage.call(['-H', 'authorization: own'])).status === 200, 'a call goes through');
	assert.equal(used(), `Bearer ${made.at(-1)}`);
	const claims = JSON.parse(Buffer.from(used()?.split('.')[1] ?? '', 'base64url').toString()) as object;
	assert.deepEqual(
		{ ...claims, exp: 0, n: 0 },
		{ sub: 'spiffe://example.org/sallyport', aud: ['crm.example'], exp: 0, n: 0 },
	);
	const asked = api.calls('FetchJWTSVID');
	assert.equal((await stage.call()).status, 200);
	assert.equal(api.calls('FetchJWTSVID'), asked, 'it is kept');

	// Another identity: the token of the one before is not shown any more.
	api.onJwtSvid(() => ({ code: 7 }));
	api.give({ svids: [given(own, 'spiffe://example.org/renamed')] });
	await stage.sallyport.waitForLog(
		({ msg }) => msg === 'a credential has no valid value: calls that need it are refused',
		'there is none for the new identity',
	);
	const refused = await stage.call();
	assert.equal(refused.status, 403);
	assert.equal(refused.json()['cause'], 'no_credential');
	api.onJwtSvid((audience, id) => token(id, audience, ++n));
	await until(async () => (await stage.call()).status === 200, 'the new one is fetched');
	assert.match(
		Buffer.from(used()?.split('.')[1] ?? '', 'base64url').toString(),
		/"sub":"spiffe:\/\/example.org\/renamed"/,
	);
	const written = stage.sallyport.stderr() + JSON.stringify(stage.sallyport.records());
	assert.equal(
		made.some(one => written.includes(one.slice(30, 90))),
		false,
	);
});
