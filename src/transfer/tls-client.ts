import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/**
 * `tls.connect` to servers that may be hostile.
 *
 * To check a server's name Node turns its whole chain into objects (`getPeerCertificate(true)`), and Node 24.20.0 ends by
 * SIGSEGV when a key in it is on a curve without a NIST name, such as secp256k1 or brainpoolP256r1. So that is not done
 * here: the name is checked against the certificate as OpenSSL has it, by the same rules (RFC 9525 §6.3).
 */
export function connectTls(options: ConnectionOptions): TLSSocket {
	const socket: TLSSocket = connect({
		checkServerIdentity: name => nameProblem(socket, name),
		...options,
	});
	// Handshakes end in a later turn, and look it up on the socket.
	Object.defineProperty(socket, 'getPeerCertificate', { value: () => ({}) });
	return socket;
}

function nameProblem(socket: TLSSocket, name: string): Error | undefined {
	const certificate = socket.getPeerX509Certificate();
	const found =
		isIP(name) === 0 ? certificate?.checkHost(name, { partialWildcards: false }) : certificate?.checkIP(name);
	if (found !== undefined) return undefined;
	return Object.assign(new Error('the certificate is for another name'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}
