import type { Socket } from 'node:net';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { CallPermit } from '../../model/permit.ts';
import { Roster } from '../../model/roster.ts';
import type { Target } from '../../model/target.ts';
import type { Dialler } from './dial.ts';
import { UpstreamConnection } from './http-connection.ts';

export interface PoolDeps {
	readonly dialler: Dialler;
	/** Idle connections kept per agent and upstream. */
	readonly maxIdle: number;
	/** Open connections of one agent, to all its targets together, past which none is kept idle. */
	readonly maxPerAgent: number;
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
	readonly idle: PooledConnection[];
}

/** A connection that serves one agent only. */
export class PooledConnection extends UpstreamConnection {
	/** Its place among those that are open. */
	place = -1;
	readonly slot: Slot;
	readonly generation: number;
	/** By which proof the agent was known for whom it served last. */
	who: Identity;
	/** When it is not kept idle any longer, milliseconds, monotonic. */
	idleUntil = 0;

	constructor(socket: Socket, maxHeader: number, slot: Slot, generation: number, who: Identity) {
		super(socket, maxHeader);
		this.slot = slot;
		this.generation = generation;
		this.who = who;
	}
}

/** Connections to upstreams, each on one socket that was dialled under a permit. */
export class UpstreamPool {
	readonly #deps: PoolDeps;
	readonly #slots = new Map<string, Slot>();
	/** The key that a connection's last call had: most go where the one before went. */
	readonly #keys = new WeakMap<Conn, { readonly target: Target; readonly revision: string; readonly key: string }>();
	/** How many are open, by agent. */
	readonly #perAgent = new Map<string, number>();
	readonly #open = new Roster<PooledConnection>();
	readonly #sweeper: NodeJS.Timeout;
	/** Grows when trust bundle, SVID or configuration change: connections made before are not used again. */
	#generation = 0;

	constructor(deps: PoolDeps) {
		this.#deps = deps;
		this.#sweeper = setInterval(() => this.#sweep(), Math.min(1000, Math.max(50, deps.keepAlive / 4)));
		this.#sweeper.unref();
	}

	/** `revision` is that of the credential that the request carries: what an upstream ties to the connection ends with it. */
	slotOf({ target, conn }: CallPermit, revision: string): Slot {
		let known = this.#keys.get(conn);
		if (known?.target !== target || known.revision !== revision) {
			known = {
				target,
				revision,
				key: `${conn.identity.agent.id} ${target.upstream ?? ''} ${target.host}:${target.port} ${target.address ?? ''} ${target.tls ? (target.sni ?? '') : '-'} ${revision}`,
			};
			this.#keys.set(conn, known);
		}
		return this.#slots.get(known.key) ?? { key: known.key, agent: conn.identity.agent.id, idle: [] };
	}

	/** An idle connection, the last used first, for a call of this Conn; undefined when there is none. */
	takeIdle(slot: Slot, { identity }: Conn): PooledConnection | undefined {
		for (;;) {
			const connection = slot.idle.pop();
			if (connection === undefined) return undefined;
			if (connection.usable && connection.generation === this.#generation) {
				connection.who = identity;
				return connection;
			}
			connection.destroy();
		}
	}

	/** Dials a new one under the permit. */
	open(slot: Slot, permit: CallPermit, done: (result: PooledConnection | Refused) => void): () => void {
		const generation = this.#generation;
		const made = (socket: Socket): void => {
			const connection = new PooledConnection(socket, this.#deps.maxHeader, slot, generation, permit.conn.identity);
			socket.once('close', () => this.#forget(connection));
			this.#open.add(connection);
			this.#perAgent.set(slot.agent, (this.#perAgent.get(slot.agent) ?? 0) + 1);
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
	release(connection: PooledConnection): void {
		const { slot } = connection;
		const kept = this.#slots.get(slot.key) ?? slot;
		const tooMany =
			kept.idle.length >= this.#deps.maxIdle || (this.#perAgent.get(slot.agent) ?? 0) > this.#deps.maxPerAgent;
		if (!connection.usable || connection.generation !== this.#generation || tooMany) {
			connection.destroy();
			return;
		}
		const { keepAlive } = connection;
		// A second earlier than the upstream says: a request must not meet the closing connection.
		const keep =
			keepAlive === undefined ? this.#deps.keepAlive : Math.min(this.#deps.keepAlive, keepAlive * 1000 - 1000);
		if (keep <= 0) {
			connection.destroy();
			return;
		}
		connection.idleUntil = performance.now() + keep;
		this.#slots.set(kept.key, kept);
		kept.idle.push(connection);
	}

	/** Lets no connection made until now serve another call. Those at work finish. */
	retire(): void {
		this.#generation++;
		for (const slot of this.#slots.values()) for (const connection of slot.idle.splice(0)) connection.destroy();
	}

	/** Lets go of the idle connections of these agents, by what they were known by last. Those at work end with what they work for. */
	drop(meant: (who: Identity) => boolean): void {
		for (const { idle } of [...this.#slots.values()])
			for (const connection of [...idle]) if (meant(connection.who)) connection.destroy();
	}

	/** Closes everything. */
	close(): void {
		clearInterval(this.#sweeper);
		for (const connection of this.#open) connection.destroy();
	}

	/** Closes those that were idle for too long. */
	#sweep(): void {
		const now = performance.now();
		for (const { idle } of this.#slots.values())
			for (const connection of [...idle]) if (connection.idleUntil <= now) connection.destroy();
	}

	#forget(connection: PooledConnection): void {
		if (!this.#open.delete(connection)) return;
		this.#deps.count(-1);
		const { agent } = connection.slot;
		const left = (this.#perAgent.get(agent) ?? 1) - 1;
		if (left > 0) this.#perAgent.set(agent, left);
		else this.#perAgent.delete(agent);
		const slot = this.#slots.get(connection.slot.key);
		if (slot === undefined) return;
		const place = slot.idle.indexOf(connection);
		if (place >= 0) slot.idle.splice(place, 1);
		if (slot.idle.length === 0) this.#slots.delete(slot.key);
	}
}
