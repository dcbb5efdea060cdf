import { readFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import type { Config, ListenerConfig } from '../config/schema.ts';
import { compileListenerRules } from '../identity/listener-rules.ts';
import type { Identity } from '../model/agent.ts';
import { type Cause, type Refused, refused } from '../model/cause.ts';
import type { Clock, Recorder } from '../model/ports.ts';
import { httpSections } from '../protocols/http/section.ts';
import { sessionProtocol } from '../protocols/registry.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Calls } from './call.ts';
import type { HttpDeps } from './http/deps.ts';
import { HttpEntrance } from './http/entrance.ts';
import { Connections } from './listener/connection.ts';
import type { TlsIdentity } from './listener/handshake.ts';
import { type Entrance, Listener } from './listener/listener.ts';
import type { Recognition } from './listener/recognition.ts';
import { SessionEntrance } from './session/entrance.ts';
import { Tunnels } from './session/tunnel.ts';
import type { Checked } from './upstream/address.ts';
import { credentialsOf } from './upstream/credentials.ts';
import { Dialler } from './upstream/dial.ts';
import { UpstreamPool } from './upstream/pool.ts';
import { Router, type Upstream } from './upstream/route.ts';
import { UpstreamContexts } from './upstream/tls.ts';

/** What the proxy is given by app.ts. */
export interface ProxyDeps {
	readonly identity: TlsIdentity & {
		ownId(): string;
		trustAnchors(): readonly string[];
		clientTlsOptions(): { readonly cert: string; readonly key: string };
		judgeUpstream(socket: TLSSocket, expected: string, trustBundlePem: string | undefined): Refused | undefined;
	};
	/** Who shows this token on this listener; undefined where it takes none. */
	token(listener: string): ((username: string, password: string) => Identity | Refused) | undefined;
	/** The one agent behind a Unix socket. */
	agentOf(spiffeId: string): Identity;
	readonly calls: Calls;
	readonly clock: Clock;
	readonly recorder: Recorder;
	readonly metrics: Metrics;
	/** Sockets of Sallyport's beside the listeners: admin's. */
	otherSockets(): readonly Checked[];
}

/** What is made anew for each configuration. */
interface Setup {
	readonly config: Config;
	readonly router: Router;
	readonly contexts: UpstreamContexts;
	readonly dialler: Dialler;
	readonly pool: UpstreamPool;
	readonly tunnels: Tunnels;
	/** Who may use each listener. */
	readonly rules: ReadonlyMap<string, (identity: Identity) => Refused | undefined>;
}

/** How long connections have for their last words, milliseconds. */
const LAST_WORDS = 500;

/** The widest that a session machine may hold of one side, bytes. */
const MAX_BUFFERED = 1024 * 1024;

/** All listeners and what is behind them. A new configuration swaps what new connections get; open ones go on as they were. */
export class SidecarProxy {
	readonly #deps: ProxyDeps;
	readonly #listeners = new Map<string, Listener>();
	/** Of configurations before, while they still have connections. */
	readonly #old = new Set<Setup>();
	#setup: Setup | undefined;
	#draining = false;

	constructor(deps: ProxyDeps) {
		this.#deps = deps;
	}

	/** Puts a configuration into force. Rejects, and leaves everything as it was, when a socket or file is not to be had. */
	async configure(config: Config): Promise<void> {
		const setup = this.#makeSetup(config);
		const fresh = new Map<string, Listener>();
		const kept = new Map<Listener, { readonly config: ListenerConfig; readonly entrance: Entrance }>();
		try {
			for (const listener of config.listeners) {
				const there = this.#listeners.get(listener.name);
				const connections =
					there?.connections ??
					new Connections(listener.name, open => this.#deps.metrics.connections.set({ listener: listener.name }, open));
				const entrance = this.#makeEntrance(listener, setup, connections);
				if (there !== undefined && sameAddress(there.config, listener)) kept.set(there, { config: listener, entrance });
				else {
					const made = new Listener(
						listener,
						{ connections, entrance, rate: config.limits.handshakes_per_second, limits: limitsOf(listener, config) },
						(refusal, socket) => this.#refuseSocket(listener.name, refusal, socket.remoteAddress),
					);
					await made.listen();
					fresh.set(listener.name, made);
				}
			}
		} catch (error) {
			for (const made of fresh.values()) {
				made.close('draining');
				made.destroy();
			}
			throw error;
		}
		const before = this.#setup;
		this.#setup = setup;
		for (const [listener, { config: changed, entrance }] of kept)
			listener.change(changed, {
				entrance,
				rate: config.limits.handshakes_per_second,
				limits: limitsOf(changed, config),
			});
		for (const listener of this.#listeners.values()) if (!kept.has(listener)) listener.drain();
		for (const name of [...this.#listeners.keys()])
			if (!config.listeners.some(listener => listener.name === name)) this.#listeners.delete(name);
		for (const [name, listener] of fresh) this.#listeners.set(name, listener);
		if (before === undefined) return;
		for (const setup of this.#old) if (setup.pool.size === 0 && setup.tunnels.size === 0) this.#old.delete(setup);
		this.#old.add(before);
		before.pool.retire();
		// Sessions and tunnels that this configuration would not have opened end now.
		this.judgeAgain();
	}

	/** After a change of SVID or trust bundle: new handshakes use it at once, pooled connections are not used again. */
	renewIdentity(): void {
		for (const listener of this.#listeners.values()) listener.renew();
		this.#setup?.contexts.renew();
		this.#setup?.pool.retire();
	}

	/** Judges open sessions and tunnels under the policy in force now, and ends those that it would not open. */
	judgeAgain(): void {
		for (const call of this.#deps.calls.sessions()) {
			const { conn, target } = call.request;
			// A listener that is gone lets nobody in.
			const rule = this.#setup?.rules.get(conn.listener);
			const refusal = rule === undefined ? refused('listener_forbidden') : rule(conn.identity);
			const cause =
				refusal?.cause ?? call.judgeAgain(this.#setup !== undefined && observes(this.#setup.config, target.upstream));
			if (cause !== undefined) call.life.end(cause);
		}
	}

	/** Name and place of each listener. */
	listeners(): readonly { readonly name: string; readonly address: string; readonly connections: number }[] {
		return [...this.#listeners.values()].map(listener => {
			const { bound } = listener;
			const address =
				bound === undefined
					? ''
					: 'path' in bound
						? `unix:${bound.path}`
						: `${bound.address.includes(':') ? `[${bound.address}]` : bound.address}:${bound.port}`;
			return { name: listener.name, address, connections: listener.connections.size };
		});
	}

	/** Takes nothing new; resolves when nothing is under way any more, or after `limit` milliseconds. */
	async drain(limit: number): Promise<void> {
		this.#draining = true;
		for (const listener of this.#listeners.values()) listener.drain();
		const deadline = performance.now() + limit;
		while (this.#busy > 0 && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 10));
	}

	/** Ends everything; resolves when every agent's connection is closed. */
	async close(cause: Cause): Promise<void> {
		for (const listener of this.#listeners.values()) listener.close(cause);
		for (const setup of [...this.#old, this.#setup]) {
			setup?.tunnels.end(cause);
			setup?.pool.close();
		}
		const open = (): boolean => [...this.#listeners.values()].some(listener => listener.connections.size > 0);
		const deadline = performance.now() + LAST_WORDS;
		while (open() && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 10));
		for (const listener of this.#listeners.values()) listener.destroy();
	}

	get #busy(): number {
		let busy = this.#deps.calls.open;
		for (const listener of this.#listeners.values()) busy += listener.busy;
		return busy;
	}

	#ownSockets(): readonly Checked[] {
		const own: Checked[] = [...this.#deps.otherSockets()];
		for (const listener of this.#listeners.values()) {
			const { bound } = listener;
			if (bound !== undefined && 'port' in bound) own.push(bound);
		}
		return own;
	}

	#makeSetup(config: Config): Setup {
		const { identity, metrics } = this.#deps;
		const router = new Router(config);
		const bundles = new Map<string, string>();
		for (const [name, { tls }] of Object.entries(config.upstreams))
			if (tls?.trust_bundle !== undefined) bundles.set(name, readFileSync(tls.trust_bundle, 'utf8'));
		const contexts = new UpstreamContexts({
			upstream: name => router.upstream(name),
			svid: () => identity.clientTlsOptions(),
			trustAnchors: () => identity.trustAnchors(),
			judge: (socket, id, pem) => identity.judgeUpstream(socket, id, pem),
			trustBundle: name => bundles.get(name),
		});
		const dialler = new Dialler({
			own: { list: () => this.#ownSockets() },
			limit: config.limits.dial,
			addressOf: name => router.upstream(name)?.config.address,
			tlsOf: permit => contexts.of(permit.target),
		});
		const pool = new UpstreamPool({
			dialler,
			maxIdle: config.limits.upstream_idle,
			keepAlive: config.limits.upstream_keep_alive,
			maxHeader: config.limits.header_bytes,
			count: by => (by === 1 ? metrics.upstreamConnections.inc() : metrics.upstreamConnections.dec()),
		});
		return {
			config,
			router,
			contexts,
			dialler,
			pool,
			tunnels: new Tunnels({ session: config.limits.session, sessionIdle: config.limits.session_idle }),
			rules: new Map(
				config.listeners.map(({ name, agents }) => [
					name,
					compileListenerRules({
						agents,
						trustDomain: config.identity.trust_domain,
						operators: config.admin.control?.operators,
						ownId: () => identity.ownId(),
					}),
				]),
			),
		};
	}

	#makeEntrance(listener: ListenerConfig, setup: Setup, connections: Connections): Entrance {
		const { calls, identity, metrics, recorder } = this.#deps;
		const { config, router, dialler, pool, tunnels } = setup;
		const recognition: Recognition = {
			tls: identity,
			token: this.#deps.token(listener.name),
			as:
				typeof listener.authenticate === 'object' && 'as' in listener.authenticate
					? this.#deps.agentOf(listener.authenticate.as)
					: undefined,
		};
		const common = {
			connections,
			calls,
			dialler,
			limits: config.limits,
			mayUse: (who: Identity): Refused | undefined => {
				const rule = setup.rules.get(listener.name);
				return rule === undefined ? refused('listener_forbidden') : rule(who);
			},
			refusedConnection: (record: Parameters<Recorder['refusedConnection']>[0]): void => {
				metrics.refusedConnections.inc({ listener: record.listener, cause: record.cause });
				recorder.refusedConnection(record);
			},
			draining: () => this.#draining,
			now: () => this.#deps.clock.now(),
		};
		const upstream = listener.upstream === undefined ? undefined : router.upstream(listener.upstream);
		const protocol = upstream === undefined ? undefined : sessionProtocol(upstream.config.protocol);
		if (upstream !== undefined && protocol !== undefined) {
			return new SessionEntrance(listener, recognition, protocol, {
				...common,
				upstream,
				observe: observes(config, upstream.name),
				maxBuffered: MAX_BUFFERED,
				cancelled: ({ conn, decisionId }) =>
					recorder.control({
						action: 'cancel',
						operator: conn.identity.agent.id,
						detail: { decision_id: decisionId, listener: conn.listener },
					}),
				credential: credentialsOf(upstream.config),
			});
		}
		const http: HttpDeps = {
			calls,
			pool,
			router,
			limits: config.limits,
			section: httpSections({ headers: new Set(config.audit.mask.headers), query: new Set(config.audit.mask.query) }),
			observes: (aimed: Upstream | undefined) => observes(config, aimed?.name),
			droppedTrailers: () => metrics.droppedTrailers.inc(),
		};
		return new HttpEntrance(listener, recognition, {
			...http,
			...common,
			tunnels,
			listener: listener.name,
			door: listener.upstream,
		});
	}

	#refuseSocket(listener: string, refusal: Refused, remote: string | undefined): void {
		this.#deps.metrics.refusedConnections.inc({ listener, cause: refusal.cause });
		this.#deps.recorder.refusedConnection({
			listener,
			cause: refusal.cause,
			detail: refusal.detail ?? '',
			remote: remote ?? '',
		});
	}
}

/** Whether verdicts on a target are only observed. */
const observes = (config: Config, upstream: string | undefined): boolean =>
	((upstream === undefined ? undefined : config.upstreams[upstream]?.mode) ?? config.policy.mode) === 'observe';

const limitsOf = (listener: ListenerConfig, { limits }: Config) => ({
	connections: listener.connections ?? limits.connections,
	connectionsPerAgent: limits.connections_per_agent,
});

const sameAddress = (one: ListenerConfig, other: ListenerConfig): boolean =>
	JSON.stringify([one.address, one.mode]) === JSON.stringify([other.address, other.mode]);
