import type { Socket } from 'node:net';
import type { Client } from 'undici';
import UndiciClient from 'undici/lib/dispatcher/client.js';
import { type Refused, refused } from '../../model/cause.ts';
import type { CallPermit } from '../../model/permit.ts';
import type { Dialler } from './dial.ts';

export interface PoolDeps {
	readonly dialler: Dialler;
	/** Idle connections kept per agent and upstream. */
	readonly maxIdle: number;
	/** Milliseconds that an idle connection is kept. */
	readonly keepAlive: number;
	/** Greatest head of an answer, bytes. */
	readonly maxHeader: number;
	/** Told by how many the open connections changed. */
	count(by: 1 | -1): void;
}

/** Idle connections of one agent to one target. No other agent is ever given one of them. */
export interface Slot {
	readonly key: string;
	readonly agent: string;
	readonly idle: UpstreamConnection[];
}

/**
 * Our own pool over undici Clients, each on one socket that was dialled under a permit. undici never dials: its
 * connector hands out that socket once and fails after that.
 */
export class UpstreamPool {
	readonly #deps: PoolDeps;
	readonly #slots = new Map<string, Slot>();
	readonly #open = new Set<UpstreamConnection>();
	/** Grows when trust bundle, SVID or configuration change: connections made before are not used again. */
	#generation = 0;

	constructor(deps: PoolDeps) {
		this.#deps = deps;
	}

	/** Open connections, idle ones included. */
	get size(): number {
		return this.#open.size;
	}

	slotOf(permit: CallPermit): Slot {
		const { target, conn } = permit;
		const key = `${conn.identity.agent.id} ${target.upstream ?? ''} ${target.host}:${target.port} ${target.tls ? (target.sni ?? '') : '-'}`;
		return this.#slots.get(key) ?? { key, agent: conn.identity.agent.id, idle: [] };
	}

	/** An idle connection, the last used first; undefined when there is none. */
	takeIdle(slot: Slot): UpstreamConnection | undefined {
		for (;;) {
			const connection = slot.idle.pop();
			if (connection === undefined) return undefined;
			if (connection.usable && connection.generation === this.#generation) return connection;
			connection.destroy();
		}
	}

	/** Dials a new one under the permit. */
	open(slot: Slot, permit: CallPermit, done: (result: UpstreamConnection | Refused) => void): () => void {
		const generation = this.#generation;
		const made = (socket: Socket): void => {
			const connection = new UpstreamConnection(socket, slot, generation, this.#deps, gone => this.#forget(gone));
			this.#open.add(connection);
			this.#deps.count(1);
			done(connection);
		};
		let abandoned = false;
		let shaking: Socket | undefined;
		const abort = this.#deps.dialler.dial(permit, result => {
			if ('cause' in result) {
				done(result);
				return;
			}
			if (!permit.target.tls) {
				made(result.socket);
				return;
			}
			shaking = result.socket;
			this.#deps.dialler.secure(permit, result.socket, ['http/1.1'], secured => {
				if ('cause' in secured) {
					if (!abandoned) done(secured);
				} else if (abandoned) secured.socket.destroy();
				else if (permit.life.ended) {
					secured.socket.destroy();
					done(refused(permit.life.cause ?? 'revoked'));
				} else made(secured.socket);
			});
		});
		return () => {
			abandoned = true;
			abort();
			shaking?.destroy();
		};
	}

	/** Gives a connection back after a whole exchange. */
	release(connection: UpstreamConnection): void {
		const { slot } = connection;
		const kept = this.#slots.get(slot.key) ?? slot;
		if (!connection.usable || connection.generation !== this.#generation || kept.idle.length >= this.#deps.maxIdle) {
			connection.destroy();
			return;
		}
		this.#slots.set(kept.key, kept);
		kept.idle.push(connection);
	}

	/** Lets no connection made until now serve another call. Those at work finish. */
	retire(): void {
		this.#generation++;
		for (const slot of this.#slots.values()) for (const connection of slot.idle.splice(0)) connection.destroy();
	}

	/** Closes everything. */
	close(): void {
		for (const connection of this.#open) connection.destroy();
	}

	#forget(connection: UpstreamConnection): void {
		if (!this.#open.delete(connection)) return;
		this.#deps.count(-1);
		const slot = this.#slots.get(connection.slot.key);
		if (slot === undefined) return;
		const place = slot.idle.indexOf(connection);
		if (place >= 0) slot.idle.splice(place, 1);
		if (slot.idle.length === 0) this.#slots.delete(slot.key);
	}
}

/** One socket to an upstream, speaking HTTP/1.1, one exchange at a time. */
export class UpstreamConnection {
	readonly client: Client;
	readonly slot: Slot;
	readonly generation: number;
	readonly #socket: Socket;
	/** False until its first exchange is over: only a used one can have been closed while idle. */
	used = false;
	/** The socket broke; an orderly end is none. */
	broken = false;

	constructor(
		socket: Socket,
		slot: Slot,
		generation: number,
		deps: PoolDeps,
		gone: (connection: UpstreamConnection) => void,
	) {
		this.#socket = socket;
		this.slot = slot;
		this.generation = generation;
		let handed = false;
		socket.once('close', () => gone(this));
		socket.on('error', () => {
			this.broken = true;
		});
		// The origin only names it in undici's errors: where the bytes go was settled when the socket was dialled.
		this.client = new UndiciClient('http://upstream.invalid', {
			allowH2: false,
			pipelining: 1,
			headersTimeout: 0,
			bodyTimeout: 0,
			keepAliveTimeout: deps.keepAlive,
			keepAliveMaxTimeout: deps.keepAlive,
			maxHeaderSize: deps.maxHeader,
			connect: (_options, callback) => {
				if (handed || socket.destroyed) {
					callback(new Error('the upstream connection is over'), null);
					return;
				}
				handed = true;
				// undici, called back before it has returned, would wait for ever.
				queueMicrotask(() => callback(null, socket));
			},
		});
		this.client.on('disconnect', () => this.destroy());
	}

	get usable(): boolean {
		return !this.#socket.destroyed && this.#socket.readable && this.#socket.writable && !this.client.destroyed;
	}

	destroy(): void {
		this.#socket.destroy();
		if (!this.client.destroyed) this.client.destroy(() => {});
	}
}
