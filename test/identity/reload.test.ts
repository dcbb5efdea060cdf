import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { keyToPem, type Minted, newKey } from '../../src/identity/mint.ts';
import { type IdentityReload, type IdentitySource, openIdentity } from '../../src/identity/source.ts';
import { bundleDocument } from '../support/spiffe.ts';
import { ca, HOUR, leaf, NOW, pem } from './pki.ts';

const OWN = {
	names: [
		{ kind: 'uri', value: 'spiffe://example.org/sallyport' },
		{ kind: 'dns', value: 'localhost' },
	],
} as const;
const root = ca('root');
const own = (issuer = root) => leaf(issuer, OWN);

async function folder(t: TestContext): Promise<string> {
	const at = await mkdtemp(join(tmpdir(), 'sallyport-reload-'));
	t.after(() => rm(at, { recursive: true }));
	return at;
}

async function write(at: string, svid: Minted, anchor = root, key = svid.key): Promise<void> {
	await writeFile(join(at, 'tls.key'), keyToPem(key));
	await writeFile(join(at, 'ca.crt'), pem(anchor));
	await writeFile(join(at, 'tls.crt'), pem(svid));
}

interface Opened {
	readonly source: IdentitySource;
	/** The next reload that is reported. */
	next(): Promise<IdentityReload>;
	/** How many were reported. */
	count(): number;
}

async function open(
	t: TestContext,
	at: string,
	trustDomain = 'example.org',
	more: { readonly jwt_bundle?: string } = {},
): Promise<Opened> {
	const seen: IdentityReload[] = [];
	const waiting: ((reload: IdentityReload) => void)[] = [];
	let count = 0;
	const files = { certificate: join(at, 'tls.crt'), key: join(at, 'tls.key'), trust_bundle: join(at, 'ca.crt') };
	const source = await openIdentity(
		{ trust_domain: trustDomain, svid: { files: { ...files, ...more } }, trust_bundles: {}, clock_skew: 0 },
		{
			clock: { now: () => NOW },
			report: reload => {
				count += 1;
				const waiter = waiting.shift();
				if (waiter === undefined) seen.push(reload);
				else waiter(reload);
			},
		},
	);
	t.after(() => source.close());
	return {
		source,
		count: () => count,
		next: () =>
			new Promise(resolve => {
				const first = seen.shift();
				if (first === undefined) waiting.push(resolve);
				else resolve(first);
			}),
	};
}

test('what is there at the start is taken, and says what it is', async t => {
	const at = await folder(t);
	await write(at, own());
	const { source } = await open(t, at);
	const svid = source.current();
	assert.equal(svid?.spiffeId.id, 'spiffe://example.org/sallyport');
	assert.equal(svid?.notAfter, Math.floor((NOW + HOUR) / 1000) * 1000);
	assert.deepEqual([...(svid?.trustBundles.keys() ?? [])], ['example.org']);
});

test('nothing starts on a broken pair, and the message says what is broken but shows no key', async t => {
	const at = await folder(t);
	const svid = own();
	const starts = (trustDomain?: string) => open(t, at, trustDomain);
	await assert.rejects(starts(), /ENOENT.*tls\.crt|ENOENT.*tls\.key|ENOENT.*ca\.crt/);
	await write(at, svid, root, own().key);
	await assert.rejects(starts(), /key: it does not belong to the certificate/);
	await write(at, svid);
	await writeFile(join(at, 'tls.key'), 'rubbish');
	await assert.rejects(starts(), /key: it is not an unencrypted PEM private key/);
	await write(at, svid);
	await assert.rejects(starts('other.org'), /its trust domain is example\.org; the configuration says other\.org/);
	await write(at, svid, ca('other'));
	await assert.rejects(starts(), /not issued by a CA of its trust domain/);
	await write(at, leaf(root, OWN, { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR }));
	await assert.rejects(starts(), /expired/);
	await write(at, svid, svid);
	await assert.rejects(starts(), /trust bundle: certificate 1 is not one of a CA/);
	await write(at, svid);
	await writeFile(join(at, 'ca.crt'), pem(root) + keyToPem(root.key));
	await assert.rejects(
		starts(),
		error => error instanceof Error && /PRIVATE KEY in it/.test(error.message) && !error.message.includes('MIG'),
	);
});

test('files that are written anew are taken, once both are there', async t => {
	const at = await folder(t);
	await write(at, own());
	const { source, next } = await open(t, at);
	const before = source.current();
	const changes: string[] = [];
	source.onChange(svid => changes.push(svid?.serial ?? ''));
	const renewed = own();
	await write(at, renewed);
	let reload = await next();
	// The watch may have looked in the middle; it then looks again.
	while (!reload.taken) reload = await next();
	assert.notEqual(source.current()?.serial, before?.serial);
	assert.deepEqual(changes, [source.current()?.serial]);
	assert.notEqual(source.current()?.revision, before?.revision);
	assert.equal(source.current()?.trustRevision, before?.trustRevision);
});

test('keys for JWT-SVIDs come from a file of their own, which belongs to the whole', async t => {
	const at = await folder(t);
	await write(at, own());
	const jwt = join(at, 'jwt.json');
	await writeFile(jwt, bundleDocument([], { jwt: { a: newKey() } }));
	const { source, next } = await open(t, at, 'example.org', { jwt_bundle: jwt });
	const ids = (): string[] => [...(source.jwtAuthorities('example.org')?.keys() ?? [])];
	assert.deepEqual(ids(), ['a']);
	assert.equal(source.jwtAuthorities('other.org'), undefined);
	await writeFile(jwt, 'rubbish');
	const reload = await next();
	assert.match(reload.taken ? '' : reload.broken, /^JWT bundle: /);
	assert.deepEqual(ids(), ['a']);
	await writeFile(jwt, bundleDocument([], { jwt: { b: newKey() } }));
	assert.equal((await next()).taken, true);
	assert.deepEqual(ids(), ['b']);
	const none = await source.jwtSvid('crm');
	assert.match('broken' in none ? none.broken : '', /come from the Workload API/);
});

test('a broken pair keeps the old one, is reported once, and a good one after it is taken', async t => {
	const at = await folder(t);
	await write(at, own());
	const { source, next, count } = await open(t, at);
	const before = source.current();
	await writeFile(join(at, 'tls.key'), keyToPem(own().key));
	const reload = await next();
	assert.deepEqual(
		[reload.taken, !reload.taken && reload.broken],
		[false, 'key: it does not belong to the certificate'],
	);
	assert.equal(source.current(), before);
	assert.deepEqual(await source.reload(), { broken: 'key: it does not belong to the certificate' });
	await source.reload();
	assert.equal(count(), 1);

	await write(at, own());
	let mended = await next();
	while (!mended.taken) mended = await next();
	assert.notEqual(source.current()?.serial, before?.serial);
});

test('the old pair put back is reported as taken, without a change', async t => {
	const at = await folder(t);
	const svid = own();
	await write(at, svid);
	const { source, next } = await open(t, at);
	let changes = 0;
	source.onChange(() => {
		changes += 1;
	});
	await writeFile(join(at, 'tls.crt'), 'rubbish');
	assert.equal((await next()).taken, false);
	await writeFile(join(at, 'tls.crt'), pem(svid));
	assert.equal((await next()).taken, true);
	assert.equal(changes, 0);
});

test('Kubernetes: files are links through ..data, which is swapped', async t => {
	const at = await folder(t);
	await mkdir(join(at, '..1'));
	await write(join(at, '..1'), own());
	await symlink('..1', join(at, '..data'));
	for (const name of ['tls.crt', 'tls.key', 'ca.crt']) await symlink(join('..data', name), join(at, name));
	const { source, next } = await open(t, at);
	const before = source.current();
	for (const generation of ['..2', '..3']) {
		await mkdir(join(at, generation));
		await write(join(at, generation), own());
		await symlink(generation, join(at, '..next'));
		await rename(join(at, '..next'), join(at, '..data'));
		assert.equal((await next()).taken, true);
	}
	assert.notEqual(source.current()?.serial, before?.serial);
});

test('links whose target changes in another folder are seen', async t => {
	const at = await folder(t);
	await mkdir(join(at, 'real'));
	await mkdir(join(at, 'links'));
	await write(join(at, 'real'), own());
	for (const name of ['tls.crt', 'tls.key', 'ca.crt']) await symlink(join('..', 'real', name), join(at, 'links', name));
	const { source, next } = await open(t, join(at, 'links'));
	const before = source.current();
	await write(join(at, 'real'), own());
	let reload = await next();
	while (!reload.taken) reload = await next();
	assert.notEqual(source.current()?.serial, before?.serial);
});

test('what no watch hears of is found by the poll: a link further up', async t => {
	const at = await folder(t);
	await mkdir(join(at, 'a', 'x'), { recursive: true });
	await mkdir(join(at, 'b', 'x'), { recursive: true });
	await write(join(at, 'a', 'x'), own());
	await write(join(at, 'b', 'x'), own());
	await symlink('a', join(at, 'link'));
	const { source, next } = await open(t, join(at, 'link', 'x'));
	const before = source.current();
	await symlink('b', join(at, 'next'));
	await rename(join(at, 'next'), join(at, 'link'));
	assert.equal((await next()).taken, true);
	assert.notEqual(source.current()?.serial, before?.serial);
});

test('a listener that cannot take a change keeps no other from it', async t => {
	const at = await folder(t);
	await write(at, own());
	const { source, next } = await open(t, at);
	let told = 0;
	source.onChange(() => {
		throw new Error('no');
	});
	source.onChange(() => {
		told += 1;
	});
	await write(at, own());
	let reload = await next();
	while (!reload.taken) reload = await next();
	assert.match(JSON.stringify(await next()), /could not take it: no/);
	assert.equal(told, 1);
});

test('a TLS server shows the new certificate, and open connections go on', async t => {
	const at = await folder(t);
	await write(at, own());
	const { source, next } = await open(t, at);
	const server = createServer(source.serverTlsOptions('egress'), socket => socket.on('error', () => {}).pipe(socket));
	source.onChange(() => server.setSecureContext(source.secureContextOptions('egress')));
	await once(server.listen(0, '127.0.0.1'), 'listening');
	const address = server.address();
	if (address === null || typeof address === 'string') assert.fail();
	const agent = leaf(root);
	const options = {
		port: address.port,
		host: '127.0.0.1',
		servername: 'localhost',
		ca: pem(root),
		cert: pem(agent),
		key: keyToPem(agent.key),
	};
	const first = connect(options);
	await once(first, 'secureConnect');
	const old = first.getPeerX509Certificate()?.serialNumber;
	assert.equal(old, source.current()?.serial);

	await write(at, own());
	let reload = await next();
	while (!reload.taken) reload = await next();
	const second = connect(options);
	await once(second, 'secureConnect');
	assert.equal(second.getPeerX509Certificate()?.serialNumber, source.current()?.serial);
	assert.notEqual(source.current()?.serial, old);
	first.write('still here');
	assert.equal(String((await once(first, 'data'))[0]), 'still here');
	first.destroy();
	second.destroy();
	server.close();
});
