import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { BundleEndpoint } from '../../src/identity/bundles/https-web.ts';
import { openIdentity } from '../../src/identity/source.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { authority, bundleDocument } from '../support/spiffe.ts';
import { findSpire, NO_SPIRE, startSpire } from '../support/spire.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { folder } from './workload.ts';

/** Beside a real spire-server and spire-agent, where they are to be had. */

const programs = findSpire();
const skip = programs === undefined ? NO_SPIRE : false;

test('a real SPIRE issues, renews, federates and withdraws; its bundle endpoint and its JWT-SVIDs are read', {
	skip,
}, async t => {
	if (programs === undefined) return;
	const workspace = makeWorkspace(t);
	const endpoint = workspace.server('endpoint');
	const spire = await startSpire(t, { programs, directory: folder(t), endpoint });

	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		env: { SPIFFE_ENDPOINT_SOCKET: spire.socket },
		config: {
			identity: { trust_domain: 'example.org', svid: { workload_api: {} } },
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
		},
	});
	const log = (msg: string) => sallyport.log().filter(line => line.msg === msg);
	await sallyport.waitForLog(({ reason }) => /issues it no identity/.test(String(reason)), 'there is no entry yet');

	// The shortest life that rotates within the test: SPIRE renews at half of it.
	const partner = authority('partner.org');
	await spire.server(['bundle', 'set', '-format', 'spiffe', '-id', 'spiffe://partner.org'], bundleDocument([partner]));
	const entry = await spire.entry('spiffe://example.org/sallyport', [
		...['-dns', 'localhost', '-x509SVIDTTL', '8', '-federatesWith', 'spiffe://partner.org'],
	]);
	await sallyport.waitForLog(
		({ msg, id }) => msg === 'a new SVID is in force' && id === 'spiffe://example.org/sallyport',
		'the SVID',
	);

	mkdirSync(workspace.path('agent'));
	await spire.server(['x509', 'mint', '-spiffeID', 'spiffe://example.org/agents/a', '-write', workspace.path('agent')]);
	const agent = { certificate: workspace.path('agent/svid.pem'), key: workspace.path('agent/key.pem') };
	// SPIRE puts names into an SVID, and no addresses.
	const address = sallyport.address('egress').replace('127.0.0.1', 'localhost');
	const call = async (): Promise<number> => {
		const proxy = throughProxy({ ...workspace, ca: workspace.path('agent/bundle.pem') }, address, agent);
		return (await curl([...proxy, `http://crm.internal:${upstream.port}/`])).status;
	};
	assert.equal(await call(), 200);

	const identity = await openIdentity(
		{
			trust_domain: 'example.org',
			svid: { workload_api: { socket: spire.socket, svid: { id: 'spiffe://example.org/sallyport' } } },
			trust_bundles: {},
			clock_skew: 0,
		},
		{ clock: { now: () => Date.now() } },
	);
	t.after(() => identity.close());
	const svid = await until(() => identity.current(), 'the SVID is in force here too');
	assert.deepEqual([...svid.trustBundles.keys()].sort(), ['example.org', 'partner.org']);
	await until(() => (identity.jwtAuthorities('example.org')?.size ?? 0) > 0, 'the keys for JWT-SVIDs');
	const jwt = await identity.jwtSvid('crm');
	assert.ok('token' in jwt, 'broken' in jwt ? jwt.broken : '');
	const { sub, aud } = JSON.parse(Buffer.from(jwt.token.split('.')[1] ?? '', 'base64url').toString('utf8'));
	assert.deepEqual([sub, aud], ['spiffe://example.org/sallyport', ['crm']]);
	const { kid } = JSON.parse(Buffer.from(jwt.token.split('.')[0] ?? '', 'base64url').toString('utf8'));
	assert.ok(identity.jwtAuthorities('example.org')?.has(kid));

	const bundle = new BundleEndpoint(
		'example.org',
		{ url: spire.endpoint, roots: workspace.ca },
		{ clock: { now: () => Date.now() }, news: () => {} },
	);
	t.after(() => bundle.close());
	assert.equal(await bundle.reload(), undefined);
	assert.equal(bundle.current()?.trust.revision, svid.trustBundles.get('example.org')?.revision);
	assert.ok(bundle.current()?.jwt.has(kid));

	await until(() => log('a new SVID is in force').length >= 2, 'SPIRE renews the SVID', 30_000);
	assert.equal(await call(), 200);

	await spire.server(['entry', 'delete', '-entryID', entry]);
	await until(() => log('there is no SVID: no handshake is served').length >= 2, 'the SVID is withdrawn', 20_000);
	assert.equal(await call(), 0);
	assert.equal(log('the new SVID was not taken; what was in force before still is').length, 0);
});
