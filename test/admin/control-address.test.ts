import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Control } from '../../src/admin/control.ts';
import { mintCa } from '../../src/identity/dev-ca.ts';
import { openIdentity } from '../../src/identity/source.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Pair, TRUST_DOMAIN } from '../support/workspace.ts';
import { ask, memory, nobodyRevoked } from './fixture.ts';

const OPERATOR = `spiffe://${TRUST_DOMAIN}/operators/ann`;

async function open(t: TestContext) {
	const workspace = makeWorkspace(t);
	const certs = (name: string): string => workspace.path('certs', name);
	const identity = await openIdentity(
		{
			trust_domain: TRUST_DOMAIN,
			svid: { files: { certificate: certs('sallyport.pem'), key: certs('sallyport.key'), trust_bundle: workspace.ca } },
			trust_bundles: {},
			clock_skew: 0,
		},
		{ clock: { now: () => Date.now() } },
	);
	t.after(() => identity.close());
	const seen = memory();
	const control = new Control({
		...nobodyRevoked,
		config: {
			address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
			operators: [`spiffe://${TRUST_DOMAIN}/operators/*`],
		},
		identity,
		recorder: seen.recorder,
		status: () => ({ ready: true }),
		reload: async () => ({ problems: [], restart: [] }),
	});
	t.after(() => control.close());
	await control.listen();
	const [bound] = control.bound;
	assert.ok(bound !== undefined && 'port' in bound);
	const { port } = bound;
	const get = (pair?: Pair) =>
		ask({
			host: 'localhost',
			port,
			path: '/v1/status',
			ca: readFileSync(workspace.ca),
			...(pair === undefined ? {} : { cert: readFileSync(pair.certificate), key: readFileSync(pair.key) }),
		});
	return { workspace, identity, control, port, get, seen };
}

test('an operator by mutual TLS is let in and recorded by its id', async t => {
	const { workspace, get, seen } = await open(t);
	const answer = await get(workspace.issue('ann', OPERATOR));
	assert.equal(answer.status, 200);
	assert.deepEqual(answer.json(), { ready: true });
	const [record] = seen.control;
	assert.equal(record?.operator, OPERATOR);
	assert.equal(record?.action, 'status');
	assert.match(String(record?.detail?.serial), /^[0-9A-F]+$/);
	assert.equal(record?.detail?.via, 'address');
	assert.deepEqual(seen.refused, []);
});

test('an agent of the same trust domain is refused in words and recorded', async t => {
	const { workspace, get, seen } = await open(t);
	const answer = await get(workspace.agent('researcher'));
	assert.equal(answer.status, 403);
	assert.equal(answer.type, 'application/problem+json');
	assert.equal(answer.json().cause, 'listener_forbidden');
	assert.deepEqual(seen.control, []);
	assert.equal(seen.refused.length, 1);
	assert.equal(seen.refused[0]?.claimed, `spiffe://${TRUST_DOMAIN}/agents/researcher`);
	assert.equal(seen.refused[0]?.listener, 'admin.control');
	assert.equal(seen.refused[0]?.remote, '127.0.0.1');
});

test('loopback without a certificate is nobody', async t => {
	const { get, seen } = await open(t);
	const answer = await get();
	assert.equal(answer.status, 403);
	assert.equal(answer.json().cause, 'identity_missing');
	assert.deepEqual(seen.control, []);
	assert.equal(seen.refused[0]?.cause, 'identity_missing');
});

test("the operator's id from another CA, expired, or below the pattern is refused", async t => {
	const { workspace, get, seen } = await open(t);
	const foreign = mintCa(TRUST_DOMAIN, { now: Date.now(), lifetime: 3_600_000 });
	const cases = [
		{ pair: workspace.issue('forged', OPERATOR, { issuer: foreign }), cause: 'identity_invalid' },
		{ pair: workspace.issue('late', OPERATOR, { lifetime: -1000 }), cause: 'identity_expired' },
		{ pair: workspace.issue('below', `${OPERATOR}/more`), cause: 'listener_forbidden' },
	];
	for (const { pair, cause } of cases) {
		const answer = await get(pair);
		assert.equal(answer.status, 403, pair.certificate);
		assert.equal(answer.json().cause, cause);
	}
	assert.deepEqual(seen.control, []);
	assert.equal(seen.refused.length, cases.length);
});

test('plain HTTP and garbage are refused, and an operator still gets in', async t => {
	const { workspace, port, get, seen } = await open(t);
	for (const bytes of ['GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n', 'garbage']) {
		await new Promise<void>(resolve => {
			const socket = connect({ host: '127.0.0.1', port }, () => socket.end(bytes));
			socket.on('data', chunk => assert.doesNotMatch(chunk.toString('latin1'), /200 OK/));
			socket.on('error', () => {});
			socket.on('close', () => resolve());
		});
	}
	await until(() => seen.refused.length >= 2, 'both are recorded');
	assert.deepEqual(seen.control, []);
	assert.equal((await get(workspace.issue('ann', OPERATOR))).status, 200);
});

test('a renewed SVID is shown after the change', async t => {
	const { workspace, identity, control, port } = await open(t);
	const serialShown = (): Promise<string> =>
		new Promise((resolve, reject) => {
			const socket = connectTls({ host: 'localhost', port, ca: readFileSync(workspace.ca) }, () => {
				resolve(socket.getPeerCertificate().serialNumber);
				socket.destroy();
			});
			socket.on('error', reject);
		});
	const before = await serialShown();
	assert.equal(before, identity.current()?.serial);
	workspace.issue('sallyport', `spiffe://${TRUST_DOMAIN}/sallyport`, { names: [{ kind: 'dns', value: 'localhost' }] });
	assert.equal(await identity.reload(), undefined);
	control.renew();
	const after = await serialShown();
	assert.notEqual(after, before);
	assert.equal(after, identity.current()?.serial);
});
