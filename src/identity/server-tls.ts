import { constants, createHmac, randomBytes } from 'node:crypto';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import type { Svid } from './svid.ts';
import type { TrustBundles } from './trust.ts';

/** Authenticated encryption with forward secrecy, in both versions. */
const CIPHERS = [
	'TLS_AES_128_GCM_SHA256',
	'TLS_AES_256_GCM_SHA384',
	'TLS_CHACHA20_POLY1305_SHA256',
	'ECDHE-ECDSA-AES128-GCM-SHA256',
	'ECDHE-RSA-AES128-GCM-SHA256',
	'ECDHE-ECDSA-AES256-GCM-SHA384',
	'ECDHE-RSA-AES256-GCM-SHA384',
	'ECDHE-ECDSA-CHACHA20-POLY1305',
	'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** Seconds for which a session can be resumed. */
const SESSION_TIMEOUT = 3600;

/**
 * Options for the TLS side of listeners. A refused agent is to be told why, so the handshake lets everyone in
 * (`rejectUnauthorized: false`) and `identifyTls` judges afterwards; nothing may be read from the socket before.
 */
export class ServerTls {
	/** Ticket keys are derived from it: one per process, so that no ticket outlives it. */
	readonly #secret = randomBytes(32);

	/**
	 * For `tls.createServer` and, after a change of the SVID, `server.setSecureContext`. Without an SVID there is no
	 * certificate, no CA, and no ticket that could be good: no handshake comes to an end.
	 */
	contextOptions(svid: Svid | undefined, listener: string): SecureContextOptions & Pick<TlsOptions, 'ticketKeys'> {
		return {
			...(svid === undefined ? {} : { cert: svid.certificate, key: svid.key }),
			ca: svid === undefined ? [] : caPem(svid.trustBundles),
			allowPartialTrustChain: true,
			minVersion: 'TLSv1.2',
			ciphers: CIPHERS,
			honorCipherOrder: true,
			secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
			sessionIdContext: `sallyport ${listener}`.slice(0, 32),
			sessionTimeout: SESSION_TIMEOUT,
			ticketKeys: svid === undefined ? randomBytes(48) : this.#ticketKeys(listener, svid.trustRevision),
		};
	}

	serverOptions(svid: Svid | undefined, listener: string): TlsOptions {
		return { ...this.contextOptions(svid, listener), requestCert: true, rejectUnauthorized: false };
	}

	/** Sessions are resumed only on the listener and under the trust bundles that they were begun under. */
	#ticketKeys(listener: string, trustRevision: string): Buffer {
		return createHmac('sha512', this.#secret).update(`${trustRevision} ${listener}`).digest().subarray(0, 48);
	}
}

/**
 * All anchors in one list: OpenSSL cannot choose by trust domain. Its verdict is therefore necessary and never
 * enough; which bundle counts is decided by the rules.
 */
export const caPem = (bundles: TrustBundles): string[] =>
	[...bundles.values()].flatMap(({ anchors }) => anchors.map(({ x509 }) => x509.toString()));
