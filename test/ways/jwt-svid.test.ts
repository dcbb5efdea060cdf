import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { curl } from '../support/curl.ts';
import { AUDIENCE, ecKey, type JwtOrder, jwt, jwtBundle, seconds } from '../support/jwt.ts';
import { policyOf } from '../support/sallyport.ts';
import { bundleDocument } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { knownBy } from './support.ts';

test('behind something that ended TLS an agent is known by the JWT-SVID of each request', async t => {
	const workspace = makeWorkspace(t);
	const key = ecKey();
	const theirs = ecKey();
	workspace.write('keys.json', jwtBundle({ k: key }));
	workspace.write('partner.json', bundleDocument([], { jwt: { k: theirs } }));
	const certs = { certificate: 'certs/sallyport.pem', key: 'certs/sallyport.key', trust_bundle: 'certs/ca.pem' };
	const jwt_svid = { audience: [AUDIENCE] };
	const stage = await openStage(t, {
		workspace,
		listeners: [
			{ name: 'door', address: '127.0.0.1:0', upstream: 'tool', authenticate: { jwt_svid } },
			{
				name: 'egress',
				address: '127.0.0.1:0',
				serves: 'http_proxy',
				agents: ['spiffe://partner.org/**', 'spiffe://example.org/**'],
				authenticate: { jwt_svid: { ...jwt_svid, header: 'X-Forwarded-Jwt' } },
			},
		],
		config: {
			identity: {
				trust_domain: 'example.org',
				svid: { files: { ...certs, jwt_bundle: 'keys.json' } },
				trust_bundles: { 'partner.org': { files: ['partner.json'] } },
			},
		},
		policy: policyOf(
			'allow if {\n\tinput.agent.authentication == "jwt_svid"\n\tnot contains(json.marshal(input), "eyJ")\n}',
		),
	});
	const door = `http://${stage.sallyport.address('door')}/x`;
	const ask = (order: Partial<JwtOrder> = {}) => curl(['-H', `Authorization: Bearer ${jwt({ key, ...order })}`, door]);

	assert.equal((await ask()).status, 200);
	assert.equal(knownBy(stage.decisions().at(-1)), 'spiffe://example.org/agents/a jwt_svid');
	assert.equal(stage.tool.seen.at(-1)?.header('authorization'), undefined);

	for (const [title, order, cause, detail] of [
		['expired', { claims: { exp: seconds(-60) } }, 'identity_expired', /expired/],
		['for somebody else', { claims: { aud: ['billing'] } }, 'identity_invalid', /another audience/],
		['signed by a key of another trust domain', { key: theirs }, 'identity_invalid', /signature/],
		['unsigned', { header: { alg: 'none' } }, 'identity_invalid', /algorithm/],
		[
			'a whole other domain at a listener of ours',
			{ key: theirs, claims: { sub: 'spiffe://partner.org/a' } },
			'listener_forbidden',
			/example.org only/,
		],
	] as const) {
		const answer = await ask(order);
		assert.equal(answer.status, 403, title);
		assert.equal(answer.json()['cause'], cause, title);
		assert.match(String(answer.json()['detail']), detail, title);
		await stage.sallyport.waitForRecord(record => record.cause === cause && detail.test(JSON.stringify(record)), title);
	}
	const none = await curl([door]);
	assert.equal(none.json()['cause'], 'identity_missing');
	const basic = await curl(['-u', 'a:b', door]);
	assert.equal(basic.json()['cause'], 'identity_missing', 'Basic is no JWT-SVID');
	const twice = await curl(['-H', `Authorization: Bearer ${jwt({ key })}`, '-H', 'Authorization: Bearer x', door]);
	assert.match(String(twice.json()['detail']), /more than one authorization/);

	// In a field of its own: bare, and whatever else is Authorization is the upstream's.
	const proxied = await curl([
		...['--proxy', `http://${stage.sallyport.address('egress')}`],
		...['-H', `X-Forwarded-JWT: ${jwt({ key: theirs, claims: { sub: 'spiffe://partner.org/a' } })}`],
		...['-H', 'X_Forwarded_JWT: eyJ', '-H', 'Authorization: Bearer own', `${stage.origin}/x`],
	]);
	assert.equal(proxied.status, 200, proxied.body);
	assert.equal(knownBy(stage.decisions().at(-1)), 'spiffe://partner.org/a jwt_svid');
	const seen = stage.tool.seen.at(-1);
	assert.equal(seen?.header('authorization'), 'Bearer own');
	assert.equal(seen?.header('x-forwarded-jwt'), undefined);
	assert.equal(seen?.header('x_forwarded_jwt'), undefined, 'some servers read it as the same');

	// A key that is withdrawn takes what it signed with it, remembered or not.
	const before = jwt({ key });
	const again = () => curl(['-H', `Authorization: Bearer ${before}`, door]);
	assert.equal((await again()).status, 200);
	workspace.write('keys.json', jwtBundle({ other: ecKey() }));
	await until(async () => (await again()).status === 403, 'the key is gone');
	assert.equal(JSON.stringify(stage.sallyport.records()).includes('eyJ'), false, 'no token is recorded');
	assert.equal(stage.sallyport.stderr().includes('eyJ'), false);
	await stage.quiet();
});
