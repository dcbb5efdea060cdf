import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { judgeUpstream } from '../../src/identity/handshake.ts';
import { keyToPem, type Minted } from '../../src/identity/mint.ts';
import type { TrustBundles } from '../../src/identity/trust.ts';
import { bundleOf, bundlesOf, ca, HOUR, leaf, leafOf, NOW, pem } from './pki.ts';

const ID = 'spiffe://example.org/services/crm';
const root = ca('root');
const other = ca('other');
const issuing = ca('issuing', {}, { issuer: root });

async function judge(
	t: TestContext,
	chain: readonly Minted[],
	trust: TrustBundles,
	anchors = [root, other],
): Promise<string> {
	const [own] = chain;
	if (own === undefined) assert.fail();
	const server = createServer({ cert: pem(...chain), key: keyToPem(own.key) }, socket => socket.on('error', () => {}));
	await once(server.listen(0, '127.0.0.1'), 'listening');
	t.after(() => server.close());
	const address = server.address();
	if (address === null || typeof address === 'string') assert.fail();
	const socket = connect({
		port: address.port,
		host: '127.0.0.1',
		ca: pem(...anchors),
		rejectUnauthorized: false,
		checkServerIdentity: () => undefined,
	});
	t.after(() => socket.destroy());
	await once(socket, 'secureConnect');
	const judged = judgeUpstream(socket, ID, trust, { now: NOW, skew: 0 });
	return 'cause' in judged ? `${judged.cause}: ${judged.detail}` : judged.spiffeId.id;
}

const trust = bundlesOf(bundleOf('example.org', root));

test('the upstream that was meant is taken, over intermediates too', async t => {
	assert.equal(await judge(t, [leafOf(root, ID)], trust), ID);
	assert.equal(await judge(t, [leafOf(issuing, ID), issuing], trust), ID);
});

test('every other is upstream_tls', async t => {
	assert.match(
		await judge(t, [leafOf(root, `${ID}2`)], trust),
		/^upstream_tls: the upstream is spiffe:\/\/example\.org\/services\/crm2/,
	);
	assert.match(await judge(t, [leafOf(other, ID)], trust), /^upstream_tls: .*not issued by a CA/);
	assert.match(
		await judge(t, [leaf(root, { names: [{ kind: 'dns', value: 'crm' }] })], trust),
		/^upstream_tls: .*no URI name/,
	);
	assert.match(
		await judge(
			t,
			[leaf(root, { names: [{ kind: 'uri', value: ID }] }, { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR })],
			trust,
		),
		/^upstream_tls: .*expired/,
	);
	assert.match(await judge(t, [leafOf(root, ID)], trust, [other]), /^upstream_tls: TLS does not accept/);
	assert.match(await judge(t, [leafOf(root, ID)], new Map()), /^upstream_tls: .*no trust bundle/);
});
