import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';

/** What the TLS side of a listener takes from identity/. */
export interface TlsIdentity {
	serverTlsOptions(listener: string): TlsOptions;
	identifyTls(socket: TLSSocket): Identity | Refused;
}

export type Shaken =
	/** The handshake is over; `identity` is what the rules say of the certificate. */
	| { readonly socket: TLSSocket; readonly identity: Identity | Refused; readonly alpn: string | undefined }
	/** It did not come to an end. */
	| Refused;

type Done = (result: Shaken) => void;

/**
 * TLS handshakes of one listener's agents. node:tls names no raw socket when a handshake is over, so each tls.Server
 * here has one handshake at a time; they are kept and used again.
 */
export class AgentHandshakes {
	readonly #identity: TlsIdentity;
	readonly #listener: string;
	readonly #limit: number;
	readonly #alpn: readonly string[] | undefined;
	#free: Handshaker[] = [];
	#generation = 0;

	constructor(identity: TlsIdentity, listener: string, limit: number, alpn: readonly string[] | undefined) {
		this.#identity = identity;
		this.#listener = listener;
		this.#limit = limit;
		this.#alpn = alpn;
	}

	/** `unread` was read from the socket already and belongs to the handshake. `done` runs once. */
	accept(socket: Socket, unread: Buffer | undefined, done: Done): void {
		const generation = this.#generation;
		const shaker = this.#free.pop() ?? new Handshaker(this.#identity, this.#listener, this.#limit, this.#alpn);
		if (unread !== undefined && unread.length > 0) socket.unshift(unread);
		shaker.accept(socket, result => {
			if (generation === this.#generation && this.#free.length < 64) this.#free.push(shaker);
			done(result);
		});
	}

	/** After a change of SVID or trust bundle: handshakes from now on use the new one. */
	renew(): void {
		this.#generation++;
		this.#free = [];
	}
}

class Handshaker {
	readonly #identity: TlsIdentity;
	readonly #server: Server;
	#done: Done | undefined;

	constructor(identity: TlsIdentity, listener: string, limit: number, alpn: readonly string[] | undefined) {
		this.#identity = identity;
		this.#server = createServer({
			...identity.serverTlsOptions(listener),
			handshakeTimeout: limit,
			...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
		});
		this.#server.on('secureConnection', socket => {
			socket.on('error', () => {});
			const who = this.#identity.identifyTls(socket);
			this.#finish({
				socket,
				identity: who,
				alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
			});
		});
		this.#server.on('tlsClientError', (error, socket) => {
			this.#finish(handshakeRefusal(error));
			socket.destroy();
		});
	}

	accept(socket: Socket, done: Done): void {
		this.#done = done;
		const closed = (): void =>
			this.#finish(refused('identity_missing', 'the connection was closed in the TLS handshake'));
		socket.once('close', closed);
		this.#done = result => {
			socket.removeListener('close', closed);
			done(result);
		};
		// An agent that leaves in the middle of a handshake is gone, not half-closed.
		socket.allowHalfOpen = false;
		this.#server.emit('connection', socket);
	}

	#finish(result: Shaken): void {
		const done = this.#done;
		if (done === undefined) return;
		this.#done = undefined;
		done(result);
	}
}

/** From a closed set of texts, so that a flood of failures coalesces. */
function handshakeRefusal(error: NodeJS.ErrnoException): Refused {
	switch (error.code) {
		case 'ERR_SSL_HTTP_REQUEST':
			return refused('undecodable', 'plain HTTP instead of TLS');
		case 'ERR_SSL_WRONG_VERSION_NUMBER':
		case 'ERR_SSL_UNKNOWN_PROTOCOL':
		case 'ERR_SSL_UNEXPECTED_MESSAGE':
			return refused('undecodable', 'not TLS');
		case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
			return refused('undecodable', 'a TLS version before 1.2');
		case 'ERR_SSL_NO_SHARED_CIPHER':
			return refused('undecodable', 'no cipher in common');
		case 'ERR_TLS_HANDSHAKE_TIMEOUT':
			return refused('limit_exceeded', 'limits.handshake');
		case 'ECONNRESET':
			return refused('identity_missing', 'the connection was closed in the TLS handshake');
		default:
			return refused(
				'undecodable',
				`the TLS handshake failed${/^ERR_(SSL|TLS|OSSL)_[A-Z0-9_]{1,50}$/.test(error.code ?? '') ? ` (${error.code})` : ''}`,
			);
	}
}
