import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { checkRuntime } from '../../src/identity/runtime.ts';

test('the pinned Node shows a server the intermediates of its clients', async () => {
	await checkRuntime({});
	await checkRuntime({ NODE_TLS_REJECT_UNAUTHORIZED: '1' });
});

test('switched-off verification is refused', async () => {
	await assert.rejects(checkRuntime({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }), /NODE_TLS_REJECT_UNAUTHORIZED=0 is set/);
});

test('a Node that hides them is found out', async t => {
	// As in nodejs/node#65579: the leaf alone.
	t.mock.getter(X509Certificate.prototype, 'issuerCertificate', () => undefined);
	await assert.rejects(checkRuntime({}), /cannot judge agents that show an intermediate certificate.*24\.20\.0/);
});
