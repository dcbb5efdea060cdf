import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { Handshakes } from '../../src/identity/handshake.ts';
import type { Minted } from '../../src/identity/mint.ts';
import { AGENT, bundleOf, bundlesOf, ca, HOUR, leaf, NOW, pem } from './pki.ts';

const root = ca('root');

/** A finished handshake with this leaf, and what OpenSSL found. */
function shaken(own: Minted, error?: string) {
	let asked = 0;
	const socket = {
		getPeerX509Certificate: () => new X509Certificate(pem(own)),
		isSessionReused: () => false,
		get authorized() {
			asked++;
			return error === undefined;
		},
		authorizationError: error,
	};
	return { socket: socket as unknown as TLSSocket, asked: () => asked };
}

test('a chain is judged once, and OpenSSL is asked in each handshake', () => {
	const handshakes = new Handshakes(bundlesOf(bundleOf('example.org', root)));
	const own = leaf(root, {}, { notBefore: NOW - HOUR, notAfter: NOW + HOUR });
	const when = { now: NOW, skew: 0 };
	const first = shaken(own);
	const who = handshakes.identify(first.socket, when);
	assert.ok('agent' in who && who.agent.id === AGENT);
	const second = shaken(own);
	assert.equal(handshakes.identify(second.socket, when), who, 'the very judgement of before');
	assert.deepEqual([first.asked(), second.asked()], [1, 1]);

	const refused = handshakes.identify(shaken(own, 'CERT_REVOKED').socket, when);
	assert.ok('cause' in refused && refused.cause === 'identity_invalid', 'whatever was proved before');
	const later = handshakes.identify(shaken(own).socket, { now: NOW + 2 * HOUR, skew: 0 });
	assert.ok('cause' in later && later.cause === 'identity_expired', 'nor past its end');

	const renewed = new Handshakes(bundlesOf(bundleOf('example.org', ca('another'))));
	assert.ok('cause' in renewed.identify(shaken(own).socket, when), 'by other bundles it is judged anew');
});

test('what OpenSSL does not accept at first is not remembered as good', () => {
	const handshakes = new Handshakes(bundlesOf(bundleOf('example.org', root)));
	const own = leaf(root, {}, { notBefore: NOW - HOUR, notAfter: NOW + HOUR });
	const when = { now: NOW, skew: 0 };
	assert.ok('cause' in handshakes.identify(shaken(own, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE').socket, when));
	const first = handshakes.identify(shaken(own).socket, when);
	const second = handshakes.identify(shaken(own).socket, when);
	assert.ok('agent' in first);
	assert.equal(first, second);
});
