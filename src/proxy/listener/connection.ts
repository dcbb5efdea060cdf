import type { Socket } from 'node:net';
import type { Identity } from '../../model/agent.ts';
import { type Cause, type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import { Life } from '../../model/life.ts';

export interface ConnectionLimits {
	/** Open connections of this listener. */
	readonly connections: number;
	readonly connectionsPerAgent: number;
}

/** How long a stranger keeps its place when places are scarce, milliseconds; a handshake takes a few. */
const PATIENCE = 1000;

/** Every connection that is open on one listener, before and after its agent is known. */
export class Connections {
	readonly #listener: string;
	readonly #sockets = new Set<Socket>();
	/** Those whose agent is not known yet, the oldest first. */
	readonly #strangers = new Map<Socket, number>();
	/** By their ids, each with the proof that it was opened with. */
	readonly #conns = new Map<string, Conn>();
	readonly #perAgent = new Map<string, number>();
	/** What was shown last on connections whose agent has shown more than one proof: a token that was renewed. */
	readonly #shown = new Map<string, Identity>();
	readonly #count: (open: number) => void;
	readonly #number: () => number;

	/** `count` is told how many are open whenever that changes; `number` gives each Conn another one. */
	constructor(listener: string, count: (open: number) => void, number: () => number) {
		this.#listener = listener;
		this.#count = count;
		this.#number = number;
	}

	/** Set by the listener, which gets them from the configuration in force. */
	limits: ConnectionLimits = { connections: 0, connectionsPerAgent: 0 };

	get size(): number {
		return this.#sockets.size;
	}

	/**
	 * Counts an accepted socket; false when there are too many. When strangers hold a quarter of the places, the one that
	 * has shown nothing for longest makes room: silence must not keep agents out.
	 */
	accept(socket: Socket): boolean {
		const now = performance.now();
		const [oldest] = this.#strangers;
		if (oldest !== undefined && this.#strangers.size >= this.limits.connections / 4 && now - oldest[1] > PATIENCE) {
			this.#strangers.delete(oldest[0]);
			this.#sockets.delete(oldest[0]);
			oldest[0].destroy();
		}
		if (this.#sockets.size >= this.limits.connections) return false;
		this.#sockets.add(socket);
		this.#strangers.set(socket, now);
		this.#count(this.#sockets.size);
		socket.once('close', () => {
			this.#sockets.delete(socket);
			this.#strangers.delete(socket);
			this.#count(this.#sockets.size);
		});
		return true;
	}

	/** The agent behind an accepted socket is known now. */
	known(socket: Socket): void {
		this.#strangers.delete(socket);
	}

	/** Makes the Conn of an identified agent. Whoever asks for it says `gone` when the connection is over. */
	identified(identity: Identity): Conn | Refused {
		const { id } = identity.agent;
		const open = this.#perAgent.get(id) ?? 0;
		if (open >= this.limits.connectionsPerAgent) return refused('limit_exceeded', 'limits.connections_per_agent');
		this.#perAgent.set(id, open + 1);
		const conn: Conn = Object.freeze({
			id: `${this.#listener}-${this.#number()}`,
			identity,
			listener: this.#listener,
			life: new Life(),
		});
		this.#conns.set(conn.id, conn);
		return conn;
	}

	/** The Conn's connection is this socket, which may be TLS over the accepted one: they end together. */
	bind(conn: Conn, socket: Socket, accepted: Socket): void {
		this.known(accepted);
		socket.once('close', () => this.gone(conn));
		// What is in flight is told first; idle connections just end.
		conn.life.onEnd(() => setImmediate(() => socket.destroy()));
	}

	/** The same agent has shown another proof on its connection; returns the Conn for what it asks for by that. */
	shows(conn: Conn, identity: Identity): Conn {
		if (this.#conns.has(conn.id)) this.#shown.set(conn.id, identity);
		return Object.freeze({ ...conn, identity });
	}

	/** The connection is over: its life ends, and its agent may open another. */
	gone(conn: Conn): void {
		if (!this.#conns.delete(conn.id)) return;
		this.#shown.delete(conn.id);
		const { id } = conn.identity.agent;
		const left = (this.#perAgent.get(id) ?? 1) - 1;
		if (left > 0) this.#perAgent.set(id, left);
		else this.#perAgent.delete(id);
		conn.life.end('agent_aborted');
	}

	/** Ends the lives; what hangs on them says its last words and closes. `failed` as for `endWhere`. */
	end(cause: Cause, failed: (error: unknown) => void): void {
		this.endWhere(() => true, cause, failed);
	}

	/**
	 * Ends the lives of those of whom `meant` is true, by any proof that they have shown, and returns their Conns. `failed`
	 * is told what failed at the end of one, which keeps no other from its own.
	 */
	endWhere(meant: (identity: Identity) => boolean, cause: Cause, failed: (error: unknown) => void): readonly Conn[] {
		const ended = [...this.#conns.values()].filter(conn => {
			const shown = this.#shown.get(conn.id);
			return !conn.life.ended && (meant(conn.identity) || (shown !== undefined && meant(shown)));
		});
		for (const { life } of ended) {
			try {
				life.end(cause);
			} catch (error) {
				failed(error);
			}
		}
		return ended;
	}

	/** Closes what is still open. */
	destroy(): void {
		for (const socket of this.#sockets) socket.destroy();
	}
}
