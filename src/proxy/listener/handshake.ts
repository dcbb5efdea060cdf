import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';

/** What the TLS side of a listener takes from identity/. */
export interface TlsIdentity {
	/** Why no handshake can be served now: Sallyport itself has no valid SVID. */
	problem(): Refused | undefined;
	serverTlsOptions(listener: string): TlsOptions;
	identifyTls(socket: TLSSocket): Identity | Refused;
}

export type Shaken =
	/** The handshake is over; `identity` is what the rules say of the certificate. */
	| {
			readonly socket: TLSSocket;
			readonly identity: Identity | Refused;
			/** No certificate was shown. */
			readonly bare: boolean;
			readonly alpn: string | undefined;
	  }
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
		const problem = this.#identity.problem();
		if (problem !== undefined) {
			// Whoever waits for it is told in a turn of its own, as of every other end.
			process.nextTick(done, problem);
			return;
		}
		const generation = this.#generation;
		const shaker = this.#free.pop() ?? new Handshaker(this.#identity, this.#listener, this.#limit, this.#alpn);
		if (unread !== undefined && unread.length > 0) socket.unshift(unread);
		shaker.accept(socket, done, () => {
			if (generation === this.#generation && this.#free.length < MOST_FREE) this.#free.push(shaker);
		});
	}

	/** After a change of SVID or trust bundle: handshakes from now on use the new one. */
	renew(): void {
		this.#generation++;
		this.#free = [];
	}
}

const MOST_FREE = 64;

/** What one handshake is for. */
interface Turn {
	/** Undefined once it was told. */
	done: Done | undefined;
	readonly free: () => void;
}

class Handshaker {
	readonly #identity: TlsIdentity;
	readonly #server: Server;
	#turn: Turn | undefined;

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
			this.#over({
				socket,
				identity: who,
				bare: 'cause' in who && who.cause === 'identity_missing' && socket.getPeerX509Certificate() === undefined,
				alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
			});
		});
		this.#server.on('tlsClientError', (error, socket) => {
			this.#over(handshakeRefusal(error));
			socket.destroy();
		});
	}

	/**
	 * `free` runs when node:tls itself has said how it ended, which it does once: a socket that closes is told of at once,
	 * but what is still to be heard of it must not be taken for the end of the next.
	 */
	accept(socket: Socket, done: Done, free: () => void): void {
		const closed = (): void =>
			tell(turn, refused('identity_missing', 'the connection was closed in the TLS handshake'));
		const turn: Turn = {
			done: result => {
				socket.removeListener('close', closed);
				done(result);
			},
			free,
		};
		this.#turn = turn;
		socket.once('close', closed);
		// An agent that leaves in the middle of a handshake is gone, not half-closed.
		socket.allowHalfOpen = false;
		this.#server.emit('connection', socket);
	}

	#over(result: Shaken): void {
		const turn = this.#turn;
		if (turn === undefined) return;
		this.#turn = undefined;
		turn.free();
		tell(turn, result);
	}
}

function tell(turn: Turn, result: Shaken): void {
	const { done } = turn;
	turn.done = undefined;
	done?.(result);
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
