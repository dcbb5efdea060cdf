import { readFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { observes } from '../config/observe.ts';
import type { Config, ListenerConfig } from '../config/schema.ts';
import type { CredentialSet } from '../identity/credentials/set.ts';
import { compileListenerRules } from '../identity/listener-rules.ts';
import { type Broken, type TrustBundle, trustBundleFor } from '../identity/trust.ts';
import type { Identity } from '../model/agent.ts';
import { type Cause, type Refused, refused } from '../model/cause.ts';
import type { Conn } from '../model/conn.ts';
import type { Clock, Revocations } from '../model/ports.ts';
import type { Target } from '../model/target.ts';
import type { SessionProtocol } from '../protocols/contract.ts';
import { sessionProtocol } from '../protocols/registry.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { Expiry } from './listener/expiry.ts';
import type { TlsIdentity } from './listener/handshake.ts';
import type { Entrance } from './listener/listener.ts';
import { knows } from './listener/recognition.ts';
import { Tunnels } from './session/tunnel.ts';
import type { OwnSockets } from './upstream/address.ts';
import { ClientCerts } from './upstream/client-cert.ts';
import { signInOf } from './upstream/credentials.ts';
import { Dialler } from './upstream/dial.ts';
import type { Lookups } from './upstream/lookup.ts';
import type { Outgoing } from './upstream/outgoing.ts';
import { UpstreamPool } from './upstream/pool.ts';
import { behind, Router, type Upstream } from './upstream/route.ts';
import { UpstreamContexts } from './upstream/tls.ts';

/** Who Sallyport is towards agents and upstreams. */
export interface ProxyIdentity extends TlsIdentity {
	ownId(): string;
	trustAnchors(): readonly string[];
	clientTlsOptions(): { readonly cert: string; readonly key: string } | undefined;
	judgeUpstream(socket: TLSSocket, expected: string, bundle: TrustBundle | Broken | undefined): Refused | undefined;
}

export interface SetupDeps {
	readonly identity: ProxyIdentity;
	readonly revocations: Pick<Revocations, 'revoked'>;
	readonly metrics: Metrics;
	readonly own: OwnSockets;
	/** Told of Sallyport's own connections where some that came back could be captured. */
	readonly outgoing: Pick<Outgoing, 'add'>;
	/** One for all configurations: they share the threads. */
	readonly lookups: Lookups;
	readonly clock: Clock;
}

/** One listener at work: what is worked out once per configuration. */
interface Post {
	readonly config: ListenerConfig;
	/** The upstream of a door. */
	readonly upstream: Upstream | undefined;
	readonly rule: (identity: Identity) => Refused | undefined;
	/** Of a door for a session protocol. */
	readonly session: { readonly protocol: SessionProtocol; readonly shared: unknown } | undefined;
	/** What an agent signs in with at the upstream of a door. */
	readonly credential: ReturnType<typeof signInOf>;
}

/** What is made anew for each configuration, and lives until nothing of it is under way any more. */
export class Setup {
	readonly config: Config;
	readonly router: Router;
	readonly contexts: UpstreamContexts;
	readonly dialler: Dialler;
	readonly pool: UpstreamPool;
	readonly expiry: Expiry;
	readonly tunnels: Tunnels;
	readonly credentials: CredentialSet;
	readonly clientCerts: ClientCerts;
	/** By the name of the listener: those that have connections, and all while this configuration is in force. */
	readonly entrances = new Map<string, Entrance>();
	readonly #posts: ReadonlyMap<string, Post>;
	readonly #revocations: Pick<Revocations, 'revoked'>;

	/** Throws when a file is not to be had. `before` is the configuration in force. */
	constructor(
		config: Config,
		credentials: CredentialSet,
		{ identity, revocations, metrics, own, outgoing, lookups, clock }: SetupDeps,
		before: Setup | undefined,
	) {
		const { limits } = config;
		const router = new Router(config);
		const bundles = new Map<string, string>();
		/** Read once: every handshake is judged by it. */
		const trust = new Map<string, TrustBundle | Broken>();
		for (const [name, { tls }] of Object.entries(config.upstreams)) {
			if (tls?.trust_bundle === undefined) continue;
			const pem = readFileSync(tls.trust_bundle, 'utf8');
			bundles.set(name, pem);
			if (tls.spiffe_id !== undefined) trust.set(name, trustBundleFor(tls.spiffe_id, pem));
		}
		const contexts = new UpstreamContexts({
			upstream: name => router.upstream(name),
			svid: () => identity.clientTlsOptions(),
			trustAnchors: () => identity.trustAnchors(),
			judge: (socket, id, name) => identity.judgeUpstream(socket, id, trust.get(name)),
			trustBundle: name => bundles.get(name),
		});
		this.config = config;
		this.#revocations = revocations;
		this.router = router;
		this.contexts = contexts;
		this.dialler = new Dialler({
			own,
			lookups,
			limit: limits.dial,
			connected: config.listeners.some(({ serves }) => serves === 'captured')
				? socket => outgoing.add(socket)
				: undefined,
			addressOf: name => router.upstream(name)?.config.address,
			tlsOf: permit => contexts.of(permit.target),
		});
		this.pool = new UpstreamPool({
			dialler: this.dialler,
			maxIdle: limits.upstream_idle,
			maxPerAgent: limits.upstream_connections_per_agent,
			keepAlive: limits.upstream_keep_alive,
			maxHeader: limits.header_bytes,
			count: by => (by === 1 ? metrics.upstreamConnections.inc() : metrics.upstreamConnections.dec()),
		});
		this.expiry = new Expiry(limits.on_expiry, () => clock.now());
		this.tunnels = new Tunnels({ sessionAge: limits.max_session_age, sessionIdle: limits.session_idle }, this.expiry);
		const ownId = (): string => identity.ownId();
		this.credentials = credentials;
		this.clientCerts = new ClientCerts(ownId);
		this.#posts = new Map(config.listeners.map(listener => [listener.name, this.#post(listener, ownId, before)]));
	}

	/** Undefined when there is no such listener. */
	post(listener: string): Post | undefined {
		return this.#posts.get(listener);
	}

	/** Why an agent that was made known in this way may not use the listener. */
	mayUse(listener: string, identity: Identity): Refused | undefined {
		const post = this.#posts.get(listener);
		if (post === undefined) return refused('listener_forbidden', 'the listener is gone');
		if (!knows(post.config, identity)) return refused('listener_forbidden', 'agents are known in another way here');
		return post.rule(identity) ?? this.#revocations.revoked(identity);
	}

	observes(upstream: string | undefined): boolean {
		return observes(this.config, upstream);
	}

	/**
	 * Whether a session or tunnel leads to the same place by this configuration as by the one before, is reached in the
	 * same way, and is signed in to as the same user.
	 */
	leadsAsBefore(before: Setup, conn: Conn, target: Target): boolean {
		const now = this.#leadsTo(conn, target);
		return now !== undefined && now === before.#leadsTo(conn, target);
	}

	#leadsTo({ listener, identity }: Conn, target: Target): string | undefined {
		const post = this.#posts.get(listener);
		if (post === undefined) return undefined;
		const { upstream, session } = post;
		if (target.protocol === 'tunnel')
			return upstream === undefined ? this.router.leadsTo({ tunnel: target }) : undefined;
		if (upstream === undefined || session === undefined) return undefined;
		const logins = this.credentials.logins(upstream.name);
		const login = logins?.find(identity);
		if (logins !== undefined && login === undefined) return undefined;
		return `${login?.user() ?? ''} ${this.router.leadsTo({ door: upstream.name })} ${upstream.target.agent ?? ''}`;
	}

	#post(config: ListenerConfig, ownId: () => string, before: Setup | undefined): Post {
		const declared = config.upstream === undefined ? undefined : this.router.upstream(config.upstream);
		const upstream = declared === undefined || config.agent === undefined ? declared : behind(declared, config.agent);
		const protocol = upstream === undefined ? undefined : sessionProtocol(upstream.config.protocol);
		const earlier = before?.post(config.name)?.session;
		return {
			config,
			upstream,
			rule: compileListenerRules({
				agents: config.agents,
				trustDomain: this.config.identity.trust_domain,
				operators: this.config.admin.control?.operators,
				ownId,
			}),
			// Sessions of before go on, and their cancel requests come in by the listener as it is now.
			session:
				protocol === undefined
					? undefined
					: { protocol, shared: earlier?.protocol === protocol ? earlier.shared : protocol.share() },
			credential: signInOf(upstream === undefined ? undefined : this.credentials.logins(upstream.name)),
		};
	}

	/** Ends what is left of it. */
	close(cause: Cause): void {
		this.tunnels.end(cause);
		this.pool.close();
		this.credentials.close();
	}
}
