import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keyToPem, newKey } from '../../src/identity/mint.ts';
import { judgeSvid } from '../../src/identity/rules.ts';
import { authority, bundleDocument, given, svidOf } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { pem, show, trialServer, visit } from './pki.ts';
import { folder, type Opened, open } from './workload.ts';

/** Trust bundles of other domains: each for its own domain, from where the configuration or the Workload API says. */

const root = authority('example.org');
const partner = authority('partner.org');
const third = authority('third.org');
const own = given(root);
const OTHER = 'spiffe://partner.org/agents/a';

const domains = ({ identity }: Opened): string[] => [...(identity.current()?.trustBundles.keys() ?? [])].sort();

/** What becomes of an agent's certificate. */
function judge({ identity }: Opened, issuer: typeof root, id: string): string {
	const judged = judgeSvid(
		[svidOf(issuer, id, { agent: true }).certificate],
		identity.current()?.trustBundles ?? new Map(),
		{ now: Date.now(), skew: 0 },
	);
	return 'cause' in judged ? (judged.detail ?? '') : judged.spiffeId.id;
}

test('bundles that come with the SVID judge their own domain only; one that is not there any more is gone', async t => {
	const opened = await open(t, {
		prepare: api => api.give({ svids: [own], federated: { 'partner.org': [partner], 'third.org': [third] } }),
	});
	const { api, identity } = opened;
	const first = await until(() => identity.current(), 'the SVID is in force');
	assert.deepEqual(domains(opened), ['example.org', 'partner.org', 'third.org']);
	assert.equal(judge(opened, partner, OTHER), OTHER);
	assert.match(judge(opened, root, OTHER), /not issued by a CA/);
	assert.match(judge(opened, partner, 'spiffe://example.org/agents/a'), /not issued by a CA/);
	assert.match(judge(opened, partner, 'spiffe://third.org/agents/a'), /not issued by a CA/);

	const changes: unknown[] = [];
	identity.onChange(svid => changes.push(svid));
	api.give({ svids: [own], federated: { 'third.org': [third] } });
	await until(() => changes.length === 1, 'the bundle is gone');
	assert.match(judge(opened, partner, OTHER), /no trust bundle/);
	assert.notEqual(identity.current()?.trustRevision, first.trustRevision);
	assert.equal(identity.current()?.serial, first.serial);
});

test('an empty bundle makes every SVID of its domain invalid, and of no other', async t => {
	const opened = await open(t, {
		prepare: api => api.give({ svids: [own], federated: { 'partner.org': Buffer.alloc(0) } }),
	});
	await until(() => opened.identity.current(), 'the SVID is in force');
	assert.match(judge(opened, partner, OTHER), /not issued by a CA/);
	assert.equal(judge(opened, root, 'spiffe://example.org/agents/a'), 'spiffe://example.org/agents/a');
	assert.equal(opened.identity.status().bundles.find(({ trustDomain }) => trustDomain === 'partner.org')?.cas, 0);
});

test("another domain's bundle that cannot be read keeps its last good one, and the own SVID is renewed all the same", async t => {
	const opened = await open(t, { prepare: api => api.give({ svids: [own], federated: { 'partner.org': [partner] } }) });
	const { api, identity } = opened;
	const first = await until(() => identity.current(), 'the SVID is in force');
	const bad = Buffer.from('rubbish');
	api.give({ svids: [given(root)], federated: { 'partner.org': bad, 'third.org': bad } });
	await until(() => identity.current()?.serial !== first.serial, 'the SVID is renewed');
	assert.equal(judge(opened, partner, OTHER), OTHER);
	assert.match(judge(opened, third, 'spiffe://third.org/a'), /no trust bundle/);
	const { bundles } = identity.status();
	for (const domain of ['partner.org', 'third.org'])
		assert.ok(bundles.find(({ trustDomain }) => trustDomain === domain)?.problem, domain);
});

test('an answer that names the own domain among the others, or a key that is no trust domain, is not taken', async t => {
	for (const [key, why] of [
		['example.org', /the own trust domain is among them/],
		['spiffe://partner.org/path', /no SPIFFE ID of a trust domain/],
		['https://partner.org', /no SPIFFE ID of a trust domain/],
	] as const) {
		const { api, identity, reloads } = await open(t, { prepare: one => one.give({ svids: [own] }) });
		const first = await until(() => identity.current(), 'the SVID is in force');
		api.give({ svids: [given(root)], federated: { [key]: [partner] } });
		const reload = await until(() => reloads.find(({ taken }) => !taken), 'it is reported');
		assert.match(reload.taken ? '' : reload.broken, why);
		assert.equal(identity.current(), first);
	}
});

interface Filed {
	readonly path: string;
	write(text: string): void;
}

function file(t: TestContext, name: string, text: string): Filed {
	const path = join(folder(t), name);
	writeFileSync(path, text);
	return { path, write: more => writeFileSync(path, more) };
}

test('bundles from files, PEM or SPIFFE documents, are watched; the broken one leaves the last good one', async t => {
	const { path, write } = file(t, 'partner.pem', pem(partner));
	const document = file(t, 'third.json', bundleDocument([third], { jwt: { k: newKey() } }));
	const opened = await open(t, {
		prepare: api => api.give({ svids: [own] }),
		trustBundles: { 'partner.org': { files: [path] }, 'third.org': { files: [document.path] } },
	});
	const { identity, bundles } = opened;
	await until(() => domains(opened).length === 3, 'all are in force');
	assert.equal(judge(opened, partner, OTHER), OTHER);
	assert.deepEqual([...(identity.jwtAuthorities('third.org')?.keys() ?? [])], ['k']);
	assert.equal(identity.jwtAuthorities('partner.org')?.size, 0);
	assert.equal(identity.jwtAuthorities('nobody.org'), undefined);

	write('rubbish');
	await until(() => bundles.some(text => /^partner\.org: .*there is no PEM/.test(text)), 'it is reported');
	assert.equal(judge(opened, partner, OTHER), OTHER);
	assert.match(
		(await identity.reload())?.broken ?? '',
		/^trust bundle of partner\.org: .*partner\.pem: there is no PEM/,
	);
	assert.match(
		identity.status().bundles.find(({ trustDomain }) => trustDomain === 'partner.org')?.problem ?? '',
		/no PEM/,
	);

	const next = authority('partner.org');
	write(pem(next));
	await until(() => judge(opened, next, OTHER) === OTHER, 'the new one is in force');
	assert.match(judge(opened, partner, OTHER), /not issued by a CA/);
	assert.equal(await identity.reload(), undefined);
});

test('a file that is not there leaves the domain untrusted, and everything else goes on', async t => {
	const opened = await open(t, {
		prepare: api => api.give({ svids: [own] }),
		trustBundles: { 'partner.org': { files: ['/nonexistent/partner.pem'] } },
	});
	await until(() => opened.identity.current(), 'the SVID is in force');
	assert.match(judge(opened, partner, OTHER), /no trust bundle/);
	const { bundles } = opened.identity.status();
	assert.match(bundles.find(({ trustDomain }) => trustDomain === 'partner.org')?.problem ?? '', /ENOENT/);
});

test('what the configuration says of a domain counts, and what the Workload API says of it does not', async t => {
	const { path } = file(t, 'partner.pem', pem(partner));
	const another = authority('partner.org');
	const opened = await open(t, {
		prepare: api => {
			api.give({ svids: [own], federated: { 'partner.org': [another] } });
			api.giveJwt({ 'partner.org': bundleDocument([], { jwt: { k: newKey() } }) });
		},
		trustBundles: { 'partner.org': { files: [path] } },
	});
	await until(() => domains(opened).length === 2, 'both are in force');
	assert.equal(judge(opened, partner, OTHER), OTHER);
	assert.match(judge(opened, another, OTHER), /not issued by a CA/);
	assert.equal(opened.identity.jwtAuthorities('partner.org')?.size, 0);
	assert.equal(opened.identity.status().bundles.length, 2);
});

test('two files of one domain are one bundle; a secret in one of them is refused', async t => {
	const next = authority('partner.org');
	const [one, two] = [file(t, 'one.pem', pem(partner)), file(t, 'two.json', bundleDocument([next]))];
	const opened = await open(t, {
		prepare: api => api.give({ svids: [own] }),
		trustBundles: { 'partner.org': { files: [one.path, two.path] } },
	});
	await until(() => domains(opened).length === 2, 'both are in force');
	for (const issuer of [partner, next]) assert.equal(judge(opened, issuer, OTHER), OTHER);
	one.write(pem(partner) + keyToPem(partner.key));
	await until(() => opened.bundles.some(text => /PRIVATE KEY in it/.test(text)), 'it is refused');
	assert.equal(judge(opened, partner, OTHER), OTHER);
});

test('a TLS handshake takes agents of both domains by their own CAs, and no ticket outlives a change', async t => {
	const opened = await open(t, { prepare: api => api.give({ svids: [own], federated: { 'partner.org': [partner] } }) });
	const svid = await until(() => opened.identity.current(), 'the SVID is in force');
	const server = await trialServer(t, svid);
	for (const [issuer, id, expected] of [
		[partner, OTHER, /^spiffe:\/\/partner\.org\/agents\/a$/],
		[root, 'spiffe://example.org/agents/a', /^spiffe:\/\/example\.org\/agents\/a$/],
		[root, OTHER, /^identity_invalid: .*not issued by a CA/],
		[partner, 'spiffe://example.org/agents/a', /^identity_invalid: .*not issued by a CA/],
	] as const) {
		const agent = svidOf(issuer, id, { agent: true });
		const [seen] = await Promise.all([
			server.next(),
			visit(server.port, { ca: pem(root), cert: pem(agent), key: keyToPem(agent.key) }),
		]);
		assert.match(show(seen), expected);
	}
	const keys = (): unknown => {
		const { ticketKeys } = opened.identity.serverTlsOptions('egress');
		return ticketKeys?.toString('hex');
	};
	const before = keys();
	assert.equal(keys(), before);
	opened.api.give({ svids: [own], federated: { 'partner.org': [authority('partner.org')] } });
	await until(() => keys() !== before, 'the keys of tickets are others');
});
