import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { mintCa } from '../../src/identity/dev-ca.ts';
import { certificatesToPem } from '../../src/identity/mint.ts';
import { startUpstream, type UpstreamOptions } from '../support/upstream.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { openStage } from './support-stage.ts';

interface Case {
	readonly name: string;
	/** What the upstream shows, and how. */
	readonly shows: (workspace: Workspace) => UpstreamOptions;
	/** `tls` of its declaration. */
	readonly tls: Readonly<Record<string, unknown>>;
	readonly works: boolean;
}

const own = 'certs/ca.pem';
const other = 'certs/other.pem';
const ours = (workspace: Workspace): UpstreamOptions => ({ certificate: workspace.server('ours') });
const id = 'spiffe://example.org/upstreams/ours';

const CASES: readonly Case[] = [
	{
		name: 'a named trust bundle and the right name',
		shows: ours,
		tls: { trust_bundle: own, server_name: 'localhost' },
		works: true,
	},
	{ name: 'the wrong name', shows: ours, tls: { trust_bundle: own }, works: false },
	{ name: 'the wrong CA', shows: ours, tls: { trust_bundle: other, server_name: 'localhost' }, works: false },
	{ name: "the system's roots", shows: ours, tls: { server_name: 'localhost' }, works: false },
	{ name: 'the expected SPIFFE ID, whatever the name', shows: ours, tls: { spiffe_id: id }, works: true },
	{
		name: 'the expected SPIFFE ID by a named bundle',
		shows: ours,
		tls: { spiffe_id: id, trust_bundle: own },
		works: true,
	},
	{ name: 'another SPIFFE ID', shows: ours, tls: { spiffe_id: 'spiffe://example.org/upstreams/other' }, works: false },
	{ name: 'the right SPIFFE ID of another CA', shows: ours, tls: { spiffe_id: id, trust_bundle: other }, works: false },
	{
		name: 'an expired certificate',
		shows: workspace => ({
			certificate: workspace.issue('expired', id, { lifetime: -60_000, names: [{ kind: 'dns', value: 'localhost' }] }),
		}),
		tls: { trust_bundle: own, server_name: 'localhost' },
		works: false,
	},
	{
		name: 'an expired SVID',
		shows: workspace => ({ certificate: workspace.issue('expired-svid', id, { lifetime: -60_000 }) }),
		tls: { spiffe_id: id },
		works: false,
	},
	{
		name: 'TLS 1.1 only',
		shows: workspace => ({
			...ours(workspace),
			tls: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
		}),
		tls: { trust_bundle: own, server_name: 'localhost' },
		works: false,
	},
];

test('an upstream is judged by the trust bundle, name or SPIFFE ID that its declaration says; no request goes to another', async t => {
	const workspace = makeWorkspace(t);
	workspace.write(
		other,
		certificatesToPem([mintCa('example.org', { now: Date.now(), lifetime: 3_600_000 }).certificate]),
	);
	const there = await Promise.all(
		CASES.map(async one => ({ ...one, upstream: await startUpstream(t, one.shows(workspace)) })),
	);
	const stage = await openStage(t, {
		workspace,
		upstreams: Object.fromEntries(
			there.map(({ upstream, tls }, at) => [
				`u${at}`,
				{ address: upstream.address, hosts: [`u${at}.test`], protocol: 'http', upgrade: true, tls },
			]),
		),
	});
	for (const [at, { name, works, upstream }] of there.entries()) {
		const call = await stage.curl([`http://u${at}.test:${upstream.port}/`]);
		if (works) assert.equal(call.status, 200, `${name}: ${call.body}`);
		else {
			assert.equal(call.status, 502, `${name}: ${call.body}`);
			assert.equal(call.json()['cause'], 'upstream_tls', name);
		}
		assert.equal(upstream.seen.length, works ? 1 : 0, name);
	}
	await stage.good('all of them');
	await stage.quiet();
});

test("Sallyport's SVID is shown where it shall be and nowhere else; SNI names the server, and no address", async t => {
	const workspace = makeWorkspace(t);
	const handshakes: { sni: string | false; shown: string | undefined }[] = [];
	const watching: UpstreamOptions = {
		certificate: workspace.server('ours'),
		tls: { requestCert: true, rejectUnauthorized: false },
		answer: (request, response) => {
			const socket = request.socket as TLSSocket;
			const { servername } = socket as TLSSocket & { servername: string | false };
			handshakes.push({ sni: servername, shown: socket.getPeerCertificate().subjectaltname });
			response.end();
		},
	};
	const shown = await startUpstream(t, watching);
	const hidden = await startUpstream(t, watching);
	const address = await startUpstream(t, watching);
	const tls = { trust_bundle: own };
	const stage = await openStage(t, {
		workspace,
		upstreams: {
			shown: {
				address: shown.address,
				hosts: ['shown.test'],
				protocol: 'http',
				upgrade: true,
				tls: { ...tls, server_name: 'localhost', present_svid: true },
			},
			hidden: {
				address: hidden.address,
				hosts: ['hidden.test'],
				protocol: 'http',
				upgrade: true,
				tls: { spiffe_id: id },
			},
			address: { address: address.address, protocol: 'http', upgrade: true, tls },
		},
	});
	for (const url of [
		`http://shown.test:${shown.port}/`,
		`http://hidden.test:${hidden.port}/`,
		`http://${address.address}/`,
	]) {
		const call = await stage.curl([url]);
		assert.equal(call.status, 200, `${url}: ${call.body}`);
	}
	assert.deepEqual(handshakes, [
		{ sni: 'localhost', shown: handshakes[0]?.shown },
		{ sni: 'hidden.test', shown: undefined },
		{ sni: false, shown: undefined },
	]);
	assert.match(handshakes[0]?.shown ?? '', /URI:spiffe:\/\/example\.org\/sallyport/);
	await stage.quiet();
});

test('an upstream that speaks no TLS, or breaks the handshake off, is upstream_tls', async t => {
	const workspace = makeWorkspace(t);
	const plain = await startUpstream(t);
	const stage = await openStage(t, {
		workspace,
		upstreams: {
			plain: {
				address: plain.address,
				hosts: ['plain.test'],
				protocol: 'http',
				upgrade: true,
				tls: { trust_bundle: own },
			},
		},
	});
	const call = await stage.curl([`http://plain.test:${plain.port}/`]);
	assert.equal(call.status, 502, call.body);
	assert.equal(call.json()['cause'], 'upstream_tls');
	assert.equal(plain.seen.length, 0);
	await stage.good('it');
	await stage.quiet();
});
