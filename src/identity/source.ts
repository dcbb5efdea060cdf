import type { SecureContextOptions, TLSSocket, TlsOptions } from 'node:tls';
import type { IdentityConfig } from '../config/schema.ts';
import type { Identity } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';
import type { Clock } from '../model/ports.ts';
import type { BundleNews } from './bundles/bundle.ts';
import { ForeignBundles } from './bundles/set.ts';
import { Handshakes, judgeUpstream } from './handshake.ts';
import type { When } from './path.ts';
import { caPem, ServerTls } from './server-tls.ts';
import { openSource, type SourceConnection } from './sources/open.ts';
import type { JwtSvid, SvidSource } from './sources/source.ts';
import { type IdentityStatus, identityStatus, type OwnIdShown } from './status.ts';
import { type Svid, withBundles } from './svid.ts';
import type { Broken, JwtAuthorities, TrustBundle } from './trust.ts';

/** What became of a look at the source of the SVID that found something new. */
export type IdentityReload =
	| {
			readonly at: number;
			readonly taken: true;
			readonly svid: Svid;
			/** What is new; neither when a mistake was mended by what is in force already. */
			readonly renewed: 'svid' | 'trust_bundles' | undefined;
	  }
	/** There is no SVID, and why. */
	| { readonly at: number; readonly taken: true; readonly svid: undefined; readonly missing: string }
	/** What was in force before still is. */
	| { readonly at: number; readonly taken: false; readonly broken: string };

export interface IdentityDeps {
	readonly clock: Clock;
	readonly environment?: NodeJS.ProcessEnv;
	/** Told of every reload after the first load; for log, metrics and status. */
	readonly report?: (reload: IdentityReload) => void;
	/** Told of every new look at another domain's trust bundle. */
	readonly bundle?: (news: BundleNews) => void;
	/** Told when the connection to the Workload API opens or breaks. */
	readonly connection?: SourceConnection;
}

/** Who Sallyport is, and by what its peers are judged. Reading it is synchronous and cheap. */
export interface IdentitySource {
	/** Undefined while there is none; `problem` says why. */
	current(): Svid | undefined;
	/** The id in force, or the last one that was; empty before the first. */
	ownId(): string;
	/** Why no handshake can be served now: there is no SVID, or it has expired. */
	problem(): Refused | undefined;
	/** Runs after each swap: give every TLS server its new context. Returns a function that takes it back. */
	onChange(listener: (svid: Svid | undefined) => void): () => void;
	/** For `tls.createServer`, made from what is in force now; without an SVID they let nobody finish a handshake. */
	serverTlsOptions(listener: string): TlsOptions;
	/** For `server.setSecureContext` after a change. */
	secureContextOptions(listener: string): SecureContextOptions;
	/** Who the agent at the other end is; once per socket, in `secureConnection`, before anything is read. */
	identifyTls(socket: TLSSocket): Identity | Refused;
	/** Sallyport's certificate and key, to be shown to an upstream; undefined while there are none. */
	clientTlsOptions(): { readonly cert: string; readonly key: string } | undefined;
	/** PEM of the CAs that agents are judged by; also the `ca` towards an upstream with an expected id and no bundle of its own. */
	trustAnchors(): readonly string[];
	/** Why the upstream is not who it must be; by the trust bundle given, or by those that agents are judged by. */
	judgeUpstream(socket: TLSSocket, expected: string, bundle?: TrustBundle | Broken): Refused | undefined;
	/** Public keys for JWT-SVIDs of one trust domain, by key id; undefined when the domain has no bundle with such keys. */
	jwtAuthorities(trustDomain: string): JwtAuthorities | undefined;
	/** A JWT-SVID of Sallyport's own for one audience; kept until near its end. Never rejects. */
	jwtSvid(audience: string): Promise<JwtSvid | Broken>;
	/** Looks at every source now; resolves when what they hold is in force, or with why it is not. */
	reload(): Promise<Broken | undefined>;
	status(): IdentityStatus;
	close(): void;
}

/**
 * Opens the sources of the SVID and of other domains' trust bundles. Rejects when there can be no identity: files that
 * hold no valid one, a Workload API that is named nowhere. One that has issued none yet is waited for, by whoever serves.
 */
export async function openIdentity(config: IdentityConfig, deps: IdentityDeps): Promise<IdentitySource> {
	const identity = new OpenIdentity(config, deps);
	try {
		await identity.start();
	} catch (error) {
		identity.close();
		throw error;
	}
	return identity;
}

class OpenIdentity implements IdentitySource {
	readonly #config: IdentityConfig;
	readonly #deps: IdentityDeps;
	readonly #source: SvidSource;
	readonly #foreign: ForeignBundles;
	readonly #serverTls = new ServerTls();
	readonly #listeners = new Set<(svid: Svid | undefined) => void>();
	#svid: Svid | undefined;
	#missing: string | undefined;
	#ownId = '';
	#ownIdShown: OwnIdShown | undefined;
	#handshakes = new Handshakes(new Map());
	#lastBroken: string | undefined;
	/** What comes before the first load is over is part of it. */
	#started = false;

	constructor(config: IdentityConfig, deps: IdentityDeps) {
		this.#config = config;
		this.#deps = deps;
		const { clock } = deps;
		this.#source = openSource(config, {
			clock,
			environment: deps.environment ?? {},
			when: () => this.#when(),
			news: broken => this.#looked(broken),
			connection: (connected, problem) => deps.connection?.(connected, problem),
		});
		this.#foreign = new ForeignBundles(config.trust_bundles, {
			clock,
			news: news => {
				deps.bundle?.(news);
				this.#swap();
			},
		});
	}

	async start(): Promise<void> {
		await this.#source.start();
		await this.#foreign.start();
		this.#install(this.#compose());
		this.#started = true;
	}

	current(): Svid | undefined {
		return this.#svid;
	}

	ownId(): string {
		return this.#ownId;
	}

	problem(): Refused | undefined {
		if (this.#svid === undefined) return refused('identity_missing', this.#missing ?? 'Sallyport has no SVID');
		return this.#svid.notAfter <= this.#deps.clock.now()
			? refused('identity_expired', "Sallyport's SVID has expired")
			: undefined;
	}

	onChange(listener: (svid: Svid | undefined) => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	serverTlsOptions(listener: string): TlsOptions {
		return this.#serverTls.serverOptions(this.#svid, listener);
	}

	secureContextOptions(listener: string): SecureContextOptions {
		return this.#serverTls.contextOptions(this.#svid, listener);
	}

	identifyTls(socket: TLSSocket): Identity | Refused {
		// A handshake that began before the SVID was withdrawn ends with it.
		if (this.#svid === undefined) return this.problem() ?? refused('identity_missing');
		const who = this.#handshakes.identify(socket, this.#when());
		if ('agent' in who && who.agent.id === this.#ownId) {
			const count = (this.#ownIdShown?.count ?? 0) + 1;
			this.#ownIdShown = { count, last: this.#deps.clock.now(), serial: who.serial ?? '' };
		}
		return who;
	}

	clientTlsOptions(): { readonly cert: string; readonly key: string } | undefined {
		return this.#svid === undefined ? undefined : { cert: this.#svid.certificate, key: this.#svid.key };
	}

	trustAnchors(): readonly string[] {
		return caPem(this.#svid?.trustBundles ?? new Map());
	}

	judgeUpstream(socket: TLSSocket, expected: string, bundle?: TrustBundle | Broken): Refused | undefined {
		if (bundle !== undefined && 'broken' in bundle)
			return refused('upstream_tls', `its trust bundle: ${bundle.broken}`);
		const own = this.#svid?.trustBundles ?? new Map();
		const bundles = bundle === undefined ? own : new Map([[bundle.trustDomain, bundle]]);
		const judged = judgeUpstream(socket, expected, bundles, this.#when());
		return 'cause' in judged ? judged : undefined;
	}

	jwtAuthorities(trustDomain: string): JwtAuthorities | undefined {
		return this.#foreign.names(trustDomain)
			? this.#foreign.of(trustDomain)?.jwt
			: this.#source.jwtAuthorities(trustDomain);
	}

	jwtSvid(audience: string): Promise<JwtSvid | Broken> {
		return this.#source.jwtSvid(audience);
	}

	async reload(): Promise<Broken | undefined> {
		const [source, foreign] = await Promise.all([this.#source.reload(), this.#foreign.reload()]);
		return source === undefined || foreign === undefined
			? (source ?? foreign)
			: { broken: `${source.broken}; ${foreign.broken}` };
	}

	status(): IdentityStatus {
		return identityStatus({
			config: this.#config,
			svid: this.#svid,
			problem: this.problem()?.detail,
			broken: this.#lastBroken,
			source: this.#source,
			foreign: this.#foreign,
			ownIdShown: this.#ownIdShown,
		});
	}

	close(): void {
		this.#source.close();
		this.#foreign.close();
		this.#listeners.clear();
	}

	#when(): When {
		return { now: this.#deps.clock.now(), skew: this.#config.clock_skew };
	}

	/** What the source holds, with the bundles of other domains: the configuration's come before those that came with the SVID. */
	#compose(): Svid | undefined {
		const { svid, missing, federated } = this.#source.state();
		this.#missing = missing;
		if (svid === undefined) return undefined;
		const named = this.#foreign.current().map(({ trust }) => trust);
		return withBundles(svid, [...federated.filter(({ trustDomain }) => !this.#foreign.names(trustDomain)), ...named]);
	}

	#looked(broken: string | undefined): Broken | undefined {
		const at = this.#deps.clock.now();
		if (broken !== undefined) {
			this.#missing = this.#source.state().missing;
			// A poll would repeat it for ever.
			if (broken !== this.#lastBroken) this.#tell({ at, taken: false, broken });
			this.#lastBroken = broken;
			return undefined;
		}
		const mended = this.#lastBroken !== undefined;
		this.#lastBroken = undefined;
		return this.#swap(mended);
	}

	/** Puts into force what there is now. */
	#swap(mended = false): Broken | undefined {
		if (!this.#started) return undefined;
		const at = this.#deps.clock.now();
		const before = { svid: this.#svid, missing: this.#missing };
		const svid = this.#compose();
		const changed = svid?.revision !== before.svid?.revision;
		if (changed) this.#install(svid);
		if (changed || mended || this.#missing !== before.missing) {
			if (svid === undefined) this.#tell({ at, taken: true, svid, missing: this.#missing ?? 'Sallyport has no SVID' });
			else this.#tell({ at, taken: true, svid, renewed: whatIsNew(before.svid, svid) });
		}
		return changed ? this.#announce(svid, at) : undefined;
	}

	/** A listener that cannot use the new SVID goes on with the old one; the others, and this process, go on too. */
	#announce(svid: Svid | undefined, at: number): Broken | undefined {
		let failure: Broken | undefined;
		for (const listener of [...this.#listeners]) {
			try {
				listener(svid);
			} catch (error) {
				failure = { broken: `a listener could not take it: ${error instanceof Error ? error.message : String(error)}` };
				this.#tell({ at, taken: false, broken: failure.broken });
			}
		}
		return failure;
	}

	#install(svid: Svid | undefined): void {
		if (svid?.trustRevision !== this.#svid?.trustRevision)
			this.#handshakes = new Handshakes(svid?.trustBundles ?? new Map());
		this.#svid = svid;
		if (svid !== undefined) this.#ownId = svid.spiffeId.id;
	}

	#tell(reload: IdentityReload): void {
		this.#deps.report?.(reload);
	}
}

function whatIsNew(before: Svid | undefined, now: Svid): 'svid' | 'trust_bundles' | undefined {
	if (before?.revision === now.revision) return undefined;
	return before?.certificate === now.certificate && before.key === now.key ? 'trust_bundles' : 'svid';
}
