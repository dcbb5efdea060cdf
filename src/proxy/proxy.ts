import { boundText } from '../config/listen.ts';
import type { Config, ListenerConfig } from '../config/schema.ts';
import type { CredentialSet } from '../identity/credentials/set.ts';
import { openOriginalDestination, type ReadDestination } from '../kernel/original-destination.ts';
import type { Cause } from '../model/cause.ts';
import type { Revocations } from '../model/ports.ts';
import { type EntranceDeps, makeEntrance } from './entrance.ts';
import { type Claim, claimSockets } from './listener/claim.ts';
import { Connections } from './listener/connection.ts';
import type { Duty, Entrance, Listener } from './listener/listener.ts';
import { refusedConnection } from './listener/refusal.ts';
import { type ProxyIdentity, Setup } from './setup.ts';
import { type Checked, isOwn, type OwnSockets } from './upstream/address.ts';
import { Lookups, resolveBySystem } from './upstream/lookup.ts';
import { Outgoing } from './upstream/outgoing.ts';

/** What the proxy is given by app.ts. */
export interface ProxyDeps extends Omit<EntranceDeps, 'current' | 'draining' | 'originalOf' | 'isOwn' | 'outgoing'> {
	readonly identity: ProxyIdentity;
	readonly revocations: Pick<Revocations, 'revoked'>;
	/** Sockets of Sallyport's beside the listeners: admin's. */
	otherSockets(): readonly Checked[];
	/** Threads that look up names, among other things. */
	readonly threads: number;
	/** Told what failed at the end of a session or connection; the others end all the same. */
	failed(error: unknown): void;
}

/** How long connections have for their last words, milliseconds. */
const LAST_WORDS = 500;

/**
 * All listeners and what is behind them. A new configuration swaps what new connections get; what is under way goes on
 * as it was begun, but for sessions and tunnels that the new one would not have opened.
 */
export class SidecarProxy {
	readonly #deps: ProxyDeps;
	/** Connections by the name of their listener, also of one that is gone, while it has any. */
	readonly #connections = new Map<string, Connections>();
	/** The configuration in force, and those before that have connections. */
	readonly #setups = new Set<Setup>();
	readonly #lookups: Lookups;
	/** Asked where connections are captured. */
	#originalOf: ReadDestination | undefined;
	readonly #outgoing = new Outgoing();
	readonly #own: OwnSockets = { list: () => this.#ownSockets() };
	#listeners: ReadonlyMap<string, Listener> = new Map();
	#setup: Setup | undefined;
	#conns = 0;
	#draining = false;

	constructor(deps: ProxyDeps) {
		this.#deps = deps;
		this.#lookups = new Lookups(resolveBySystem, deps.threads);
	}

	/** Puts a configuration into force, and closes its credentials with it. Rejects, closes them too, and leaves everything else as it was, when a socket or file is not to be had. */
	async configure(config: Config, credentials: CredentialSet): Promise<void> {
		if (config.listeners.some(({ serves }) => serves === 'captured'))
			this.#originalOf ??= await openOriginalDestination();
		const before = this.#setup;
		const setup = new Setup(
			config,
			credentials,
			{ ...this.#deps, own: this.#own, outgoing: this.#outgoing, lookups: this.#lookups },
			before,
		);
		const duties = new Map<ListenerConfig, Duty>();
		let claim: Claim;
		try {
			for (const listener of config.listeners) duties.set(listener, this.#dutyOf(listener, setup));
			claim = await claimSockets(config.listeners, this.#listeners);
			if (this.#draining) {
				for (const socket of claim.sockets.values()) socket.close();
				throw new Error('Sallyport is stopping');
			}
		} catch (error) {
			for (const { entrance } of duties.values()) entrance.close();
			setup.close('draining');
			throw error;
		}
		// Nothing comes between from here on.
		this.#setup = setup;
		this.#setups.add(setup);
		const listeners = new Map<string, Listener>();
		for (const [listener, socket] of claim.sockets) {
			const duty = duties.get(listener);
			if (duty === undefined) continue;
			const { name, connections, entrance } = duty;
			listeners.set(name, socket);
			this.#connections.set(name, connections);
			setup.entrances.set(name, entrance);
			socket.serve(duty);
		}
		this.#listeners = listeners;
		for (const listener of claim.left) listener.close();
		if (before !== undefined) this.#retire(before, setup);
		this.#forget();
	}

	/** After a change of SVID or trust bundle: new handshakes use it at once, pooled connections are not used again. */
	renewIdentity(): void {
		for (const setup of this.#setups) {
			for (const entrance of setup.entrances.values()) entrance.renew();
			setup.contexts.renew();
			setup.pool.retire();
		}
	}

	/**
	 * Ends the connections of everyone whose access was ended, with all that hangs on them, and lets go of the upstream
	 * connections that are kept for them. Returns how many connections that were; throws, behind all of it, what failed.
	 */
	revoke(): number {
		const { revocations } = this.#deps;
		const failures: unknown[] = [];
		const ended = [...this.#connections.values()].flatMap(connections =>
			connections.endWhere(
				who => revocations.revoked(who) !== undefined,
				'revoked',
				error => failures.push(error),
			),
		);
		const agents = new Set(ended.map(({ identity }) => identity.agent.id));
		for (const { pool } of this.#setups)
			pool.drop(who => agents.has(who.agent.id) || revocations.revoked(who) !== undefined);
		if (failures.length > 0) throw failures[0];
		return ended.length;
	}

	/** Judges open sessions and tunnels under the policy in force now, and ends those that it would not open. */
	judgeAgain(): void {
		if (this.#setup !== undefined) this.#judgeAgain(this.#setup, this.#setup);
	}

	/** Name and place of each listener. */
	listeners(): readonly { readonly name: string; readonly address: string; readonly connections: number }[] {
		return [...this.#listeners].map(([name, { bound }]) => ({
			name,
			address: bound === undefined ? '' : boundText(bound),
			connections: this.#connections.get(name)?.size ?? 0,
		}));
	}

	/** How many listeners of configurations before have connections that are not over. */
	get retired(): number {
		let retired = 0;
		for (const setup of this.#setups) if (setup !== this.#setup) retired += setup.entrances.size;
		return retired;
	}

	/** Takes nothing new; resolves when nothing is under way any more, or after `limit` milliseconds. */
	async drain(limit: number): Promise<void> {
		this.#draining = true;
		for (const listener of this.#listeners.values()) listener.close();
		for (const entrance of this.#entrances()) entrance.drain();
		const deadline = performance.now() + limit;
		while (this.#busy() && performance.now() < deadline) await pause();
	}

	/** Ends everything; resolves when every agent's connection is closed. */
	async close(cause: Cause): Promise<void> {
		for (const listener of this.#listeners.values()) listener.close();
		for (const entrance of this.#entrances()) entrance.close();
		for (const connections of this.#connections.values()) connections.end(cause, error => this.#deps.failed(error));
		for (const setup of this.#setups) setup.close(cause);
		const open = (): boolean => [...this.#connections.values()].some(({ size }) => size > 0);
		const deadline = performance.now() + LAST_WORDS;
		while (open() && performance.now() < deadline) await pause();
		for (const connections of this.#connections.values()) connections.destroy();
	}

	/** Makes what serves a listener. Connections are those that the name has already. */
	#dutyOf(listener: ListenerConfig, setup: Setup): Duty {
		const { name } = listener;
		const { limits } = setup.config;
		const connections = this.#connections.get(name) ?? this.#makeConnections(name);
		const { recorder } = this.#deps;
		return {
			name,
			connections,
			entrance: makeEntrance(listener, setup, connections, {
				...this.#deps,
				current: () => this.#setup ?? setup,
				draining: () => this.#draining,
				originalOf: socket => this.#originalOf?.(socket),
				isOwn: ({ address, port }) => isOwn(address, port, this.#own),
				outgoing: this.#outgoing,
			}),
			rate: limits.handshakes_per_second,
			limits: {
				connections: listener.connections ?? limits.connections,
				connectionsPerAgent: limits.connections_per_agent,
			},
			refuse: (refusal, { remoteAddress }) =>
				recorder.refusedConnection(refusedConnection(name, refusal, remoteAddress)),
		};
	}

	/** Lets go of what the configuration before has, each piece as soon as nothing is under way on it. */
	#retire(before: Setup, now: Setup): void {
		for (const [name, entrance] of before.entrances)
			entrance.retire(now.entrances.get(name), () => {
				before.entrances.delete(name);
				if (before.entrances.size > 0) return;
				before.close('draining');
				this.#setups.delete(before);
			});
		before.pool.retire();
		this.#judgeAgain(now, before);
	}

	#judgeAgain(now: Setup, before: Setup): void {
		for (const call of [...this.#deps.calls.sessions()]) {
			const { conn, target } = call.request;
			try {
				const cause: Cause | undefined =
					now.mayUse(conn.listener, conn.identity)?.cause ??
					(now === before || now.leadsAsBefore(before, conn, target) ? undefined : 'policy_changed') ??
					call.judgeAgain(now.observes(target.upstream));
				if (cause !== undefined) call.life.end(cause);
			} catch (error) {
				this.#deps.failed(error);
			}
		}
	}

	#makeConnections(name: string): Connections {
		return new Connections(
			name,
			open => {
				this.#deps.metrics.connections.set({ listener: name }, open);
				if (open === 0) this.#forget();
			},
			() => ++this.#conns,
		);
	}

	/** Lets go of the names that no listener has any more, once they have no connections. */
	#forget(): void {
		for (const [name, { size }] of this.#connections) {
			if (size > 0 || this.#setup?.post(name) !== undefined) continue;
			this.#connections.delete(name);
			this.#deps.metrics.connections.remove({ listener: name });
		}
	}

	*#entrances(): Generator<Entrance> {
		for (const setup of this.#setups) yield* setup.entrances.values();
	}

	#busy(): boolean {
		if (this.#deps.calls.open > 0) return true;
		for (const entrance of this.#entrances()) if (entrance.busy > 0) return true;
		return false;
	}

	#ownSockets(): readonly Checked[] {
		const own: Checked[] = [...this.#deps.otherSockets()];
		for (const { bound } of this.#listeners.values()) if (bound !== undefined && 'port' in bound) own.push(bound);
		return own;
	}
}

const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 10));
