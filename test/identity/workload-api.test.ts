import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { openIdentity } from '../../src/identity/source.ts';
import { authority, given, HOUR } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { startWorkloadApi } from '../support/workload-api.ts';
import { folder, open } from './workload.ts';

const root = authority('example.org');
const GRPC = { permissionDenied: 7, unimplemented: 12, invalidArgument: 3, unavailable: 14 } as const;

test('before an identity is issued there is none, with a reason; then there is one', async t => {
	const { api, identity, reloads, connections } = await open(t);
	assert.equal(identity.current(), undefined);
	assert.equal(identity.problem()?.cause, 'identity_missing');
	await until(() => connections.length > 0, 'the refusal is noticed');
	assert.deepEqual(connections, ['no identity issued']);
	assert.equal(identity.problem()?.detail, 'Sallyport has no SVID: the Workload API issues it no identity');
	assert.deepEqual([identity.trustAnchors(), identity.clientTlsOptions(), identity.ownId()], [[], undefined, '']);

	const changes: (string | undefined)[] = [];
	identity.onChange(svid => changes.push(svid?.spiffeId.id));
	api.give({ svids: [given(root)] });
	await until(() => identity.current(), 'the SVID is in force');
	assert.equal(identity.problem(), undefined);
	assert.deepEqual(changes, ['spiffe://example.org/sallyport']);
	assert.deepEqual(
		reloads.map(reload => reload.taken && reload.svid?.spiffeId.id),
		[undefined, 'spiffe://example.org/sallyport'],
	);
	const { source, bundles } = identity.status();
	assert.equal(source.kind, 'workload_api');
	assert.equal(source.from, api.socket);
	assert.equal(source.connected, true);
	assert.ok(Date.now() - (source.since ?? 0) < 60_000);
	assert.deepEqual(
		bundles.map(({ trustDomain, kind, cas }) => [trustDomain, kind, cas]),
		[['example.org', 'workload_api', 1]],
	);
});

test('every call carries the security header', async t => {
	const { api, identity } = await open(t);
	api.onJwtSvid(() => ({ code: GRPC.permissionDenied }));
	api.give({ svids: [given(root)] });
	await until(() => identity.current(), 'the SVID is in force');
	await identity.jwtSvid('crm');
	await until(() => api.calls('FetchJWTBundles') > 0 && api.calls('FetchJWTSVID') > 0, 'all three methods were called');
	for (const metadata of api.metadata) assert.deepEqual(metadata.get('workload.spiffe.io'), ['true']);
});

test('each update is in force at once; the trust revision changes with the trust bundle alone', async t => {
	const { api, identity } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	const first = await until(() => identity.current(), 'the first SVID');
	api.give({ svids: [given(root)] });
	const second = await until(() => identity.current() !== first && identity.current(), 'the second SVID');
	assert.notEqual(second.serial, first.serial);
	assert.equal(second.trustRevision, first.trustRevision);
	const next = authority('example.org');
	api.give({ svids: [{ ...given(root), bundle: [root, next] }] });
	const third = await until(() => identity.current() !== second && identity.current(), 'the third SVID');
	assert.notEqual(third.trustRevision, second.trustRevision);
	assert.equal(third.trustBundles.get('example.org')?.anchors.length, 2);
});

test('PermissionDenied in the middle ends the SVID; it comes back when it is issued again', async t => {
	const { api, identity, reloads } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	await until(() => identity.current(), 'the SVID is in force');
	const changes: (string | undefined)[] = [];
	identity.onChange(svid => changes.push(svid?.serial));
	api.fail(GRPC.permissionDenied, 'no identity issued');
	await until(() => identity.current() === undefined, 'the SVID is withdrawn');
	assert.match(identity.problem()?.detail ?? '', /issues it no identity/);
	assert.equal(identity.ownId(), 'spiffe://example.org/sallyport');
	assert.deepEqual(changes, [undefined]);
	assert.equal(reloads.at(-1)?.taken, true);
	api.give({ svids: [given(root)] });
	await until(() => identity.current(), 'the SVID is back');
	assert.equal(changes.length, 2);
});

test('a stream that is dropped is opened again at once, and the SVID stays', async t => {
	const { api, identity } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	const svid = await until(() => identity.current(), 'the SVID is in force');
	const changes: unknown[] = [];
	identity.onChange(changed => changes.push(changed));
	api.drop();
	await until(() => api.calls('FetchX509SVID') === 2, 'it is opened again');
	await until(() => identity.status().source.connected, 'it is connected again');
	assert.equal(identity.current()?.serial, svid.serial);
	assert.deepEqual(changes, []);
});

test('while the agent is away the SVID goes on, and status says since when; at its end it is no more', async t => {
	const { api, identity, later } = await open(t, { prepare: one => one.give({ svids: [given(root)] }) });
	const svid = await until(() => identity.current(), 'the SVID is in force');
	await until(() => identity.status().source.connected, 'it is connected');
	api.stop();
	await until(() => identity.status().source.connected === false, 'the connection is lost');
	const { source } = identity.status();
	assert.ok(source.problem);
	assert.equal(identity.current(), svid);
	assert.equal(identity.problem(), undefined);
	assert.match((await identity.reload())?.broken ?? '', /./);

	later(2 * HOUR);
	assert.deepEqual(identity.problem(), { cause: 'identity_expired', detail: "Sallyport's SVID has expired" });
	later(-2 * HOUR);
	await api.start();
	// An operator need not wait for the next try.
	await identity.reload();
	await until(() => identity.status().source.connected, 'it is connected again', 20_000);
});

for (const code of ['invalidArgument', 'unimplemented'] as const) {
	test(`after ${code} it is not asked again, unless an operator says so`, async t => {
		const { api, identity } = await open(t, { prepare: one => one.fail(GRPC[code], 'never') });
		await until(() => /does not take the request/.test(identity.problem()?.detail ?? ''), 'it is given up');
		assert.match(identity.status().source.problem ?? '', /^never; it is not tried again$/);
		// The first pause would be over by then.
		await new Promise(resolve => setTimeout(resolve, 1200));
		assert.equal(api.calls('FetchX509SVID'), 1);
		api.give({ svids: [given(root)] });
		await identity.reload();
		await until(() => identity.current(), 'the SVID is in force');
	});
}

test('where no Workload API listens yet, it is waited for', async t => {
	const path = join(folder(t), 'late.sock');
	const identity = await openIdentity(
		{
			trust_domain: 'example.org',
			svid: { workload_api: {} },
			trust_bundles: {},
			clock_skew: 0,
		},
		{ clock: { now: () => Date.now() }, environment: { SPIFFE_ENDPOINT_SOCKET: `unix://${path}` } },
	);
	t.after(() => identity.close());
	await until(() => /cannot be reached/.test(identity.problem()?.detail ?? ''), 'nobody is there');
	const api = await startWorkloadApi(t, path);
	api.give({ svids: [given(root)] });
	await until(() => identity.current(), 'the SVID is in force');
});

test('without a socket, or with one that is none, nothing starts', async () => {
	const config = { trust_domain: 'example.org', svid: { workload_api: {} }, trust_bundles: {}, clock_skew: 0 };
	const deps = { clock: { now: () => Date.now() } };
	await assert.rejects(
		openIdentity(config, deps),
		/names no `socket`, and the environment variable SPIFFE_ENDPOINT_SOCKET/,
	);
	await assert.rejects(
		openIdentity(config, { ...deps, environment: { SPIFFE_ENDPOINT_SOCKET: 'http://127.0.0.1:1' } }),
		/SPIFFE_ENDPOINT_SOCKET: expected unix:/,
	);
});

test('what listens and says nothing, or is no gRPC, is waited for too', async t => {
	const { api, identity } = await open(t, { prepare: one => one.hush() });
	await until(() => api.open() === 1, 'the stream is open');
	assert.match(identity.problem()?.detail ?? '', /waits for the Workload API/);
	assert.match((await identity.reload())?.broken ?? '', /waits/);

	const path = join(folder(t), 'http.sock');
	const server = createServer(socket => socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\n\r\n'));
	await new Promise<void>(resolve => server.listen(path, resolve));
	t.after(() => server.close());
	const other = await openIdentity(
		{
			trust_domain: 'example.org',
			svid: { workload_api: { socket: `unix://${path}` } },
			trust_bundles: {},
			clock_skew: 0,
		},
		{ clock: { now: () => Date.now() } },
	);
	t.after(() => other.close());
	await until(() => other.status().source.problem, 'it is noticed');
	assert.equal(other.current(), undefined);
});

test('CRLs that come are counted and said to be left alone', async t => {
	const { identity } = await open(t, {
		prepare: one => one.give({ svids: [given(root)], crls: [Buffer.from('30820100', 'hex')] }),
	});
	await until(() => identity.current(), 'the SVID is in force');
	assert.equal(identity.status().source.crls, 1);
});
