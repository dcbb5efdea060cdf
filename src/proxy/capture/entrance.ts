import type { Socket } from 'node:net';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Original } from '../http/callers.ts';
import { HttpServer } from '../http/server.ts';
import type { VisitDeps } from '../http/visit.ts';
import type { Entrance } from '../listener/listener.ts';
import { refusedConnection } from '../listener/refusal.ts';
import { Retirement } from '../listener/retirement.ts';
import { type Peeked, peek } from './peek.ts';
import { openTunnel } from './tunnel.ts';

export interface CapturedEntranceDeps extends VisitDeps {
	/** Where a redirected connection was going; undefined when the kernel does not say. */
	originalOf(socket: Socket): Original | undefined;
	/** Whether connecting there reaches Sallyport itself. */
	isOwn(place: Original): boolean;
	/** Whether it is a connection of Sallyport's own that came back. */
	isOutgoing(socket: Socket, original: Original): boolean;
}

const UNKNOWN = refused('target_mismatch', 'the kernel does not say where the connection was going');
const DIRECT = refused('address_forbidden', 'the connection was made to Sallyport itself: nothing redirected it');
const RETURNED = refused(
	'address_forbidden',
	"a connection of Sallyport's own came back: the packet filter must let its user pass",
);
const SILENT = refused('undecodable', 'the connection was closed before it said anything');

/**
 * Connections that the packet filter redirected. What they speak is found by looking: HTTP is decided by request, TLS and
 * everything else by connection. Host and server name are claims; where the agent connected to is the kernel's word.
 */
export class CapturedEntrance implements Entrance {
	readonly #deps: CapturedEntranceDeps;
	readonly #server: HttpServer;
	/** Every accepted socket that is open, and what takes back looking at it, until that is over. */
	readonly #sockets = new Map<Socket, (() => void) | undefined>();
	readonly #retirement = new Retirement(() => this.#sockets.size);

	constructor(deps: CapturedEntranceDeps) {
		this.#deps = deps;
		this.#server = new HttpServer(deps);
	}

	accept(socket: Socket): void {
		const { limits } = this.#deps;
		const original = this.#deps.originalOf(socket);
		const wrong = original === undefined ? UNKNOWN : this.#deps.isOwn(original) ? DIRECT : undefined;
		if (original === undefined || wrong !== undefined) {
			this.#turnAway(socket, wrong ?? UNKNOWN);
			return;
		}
		const stop = peek(socket, { silent: limits.peek, whole: limits.handshake }, peeked => {
			this.#sockets.set(socket, undefined);
			this.#enter(socket, original, peeked);
		});
		this.#sockets.set(socket, stop);
		socket.once('close', () => {
			this.#sockets.delete(socket);
			this.#retirement.look();
		});
	}

	#enter(socket: Socket, original: Original, peeked: Peeked): void {
		if (peeked.kind === 'gone') {
			this.#turnAway(socket, SILENT);
			return;
		}
		// Only now: what Sallyport itself connected to is known by the time that something came of it.
		if (this.#deps.isOutgoing(socket, original)) {
			this.#turnAway(socket, RETURNED);
			return;
		}
		if (peeked.kind === 'http') {
			this.#server.enter(socket, { accepted: socket, original });
			socket.resume();
			return;
		}
		const { router, connections, draining } = this.#deps;
		const who = this.#identify(socket);
		const conn = 'cause' in who ? who : connections.identified(who);
		if ('cause' in conn) {
			this.#turnAway(socket, conn, 'cause' in who ? undefined : who);
			return;
		}
		connections.bind(conn, socket, socket);
		const route = router.forCaptured(original, peeked.kind === 'tls' ? peeked.hello.serverName : undefined);
		const refusal = draining() ? refused('draining') : peeked.kind === 'refused' ? peeked.refused : undefined;
		openTunnel(this.#deps, socket, conn, route, refusal);
	}

	#identify(socket: Socket): Identity | Refused {
		const who = this.#deps.recognition.socket?.(socket) ?? refused('identity_missing');
		return 'cause' in who ? who : (this.#deps.mayUse(who) ?? who);
	}

	#turnAway(socket: Socket, refusal: Refused, claimed?: Identity): void {
		this.#deps.refusedConnection(refusedConnection(this.#deps.listener, refusal, socket.remoteAddress, claimed));
		socket.resetAndDestroy();
	}

	/** There is no TLS of Sallyport's own here. */
	renew(): void {}

	get busy(): number {
		return this.#server.busy;
	}

	drain(): void {
		this.#server.drain();
		for (const [socket, stop] of [...this.#sockets]) {
			if (stop === undefined) continue;
			stop();
			socket.destroy();
		}
	}

	/** Who has not said anything yet goes on: what it says is held against the configuration that it came under. */
	retire(_next: Entrance | undefined, empty: () => void): void {
		this.#server.drain();
		this.#retirement.begin(() => {
			this.#server.close();
			empty();
		});
	}

	close(): void {
		this.#server.close();
		for (const [socket, stop] of [...this.#sockets]) {
			stop?.();
			if (stop !== undefined) socket.destroy();
		}
	}
}
