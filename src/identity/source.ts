import type { SecureContextOptions, TLSSocket, TlsOptions } from 'node:tls';
import type { IdentityConfig } from '../config/schema.ts';
import { type Watch, watchFiles } from '../config/watch.ts';
import type { Identity } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';
import type { Clock } from '../model/ports.ts';
import { readSvidFiles } from './files.ts';
import { Handshakes, judgeUpstream } from './handshake.ts';
import type { When } from './path.ts';
import { caPem, ServerTls } from './server-tls.ts';
import { openSvid, type Svid } from './svid.ts';
import { type Broken, trustBundleFor } from './trust.ts';

/** What became of a look at the source of the SVID that found something new. */
export type IdentityReload =
	| { readonly at: number; readonly taken: true; readonly svid: Svid }
	/** The old SVID stays in force. */
	| { readonly at: number; readonly taken: false; readonly broken: string };

export interface IdentityDeps {
	readonly clock: Clock;
	/** Told of every reload after the first load; for log, metrics and status. */
	readonly report?: (reload: IdentityReload) => void;
}

/** Who Sallyport is, and by what its peers are judged. Reading it is synchronous and cheap. */
export interface IdentitySource {
	current(): Svid;
	/** The last reload; undefined while the first SVID is in force and nothing new was seen. */
	lastReload(): IdentityReload | undefined;
	/** Runs after each swap: give every TLS server its new context. Returns a function that takes it back. */
	onChange(listener: (svid: Svid) => void): () => void;
	/** For `tls.createServer`, made from what is in force now. */
	serverTlsOptions(listener: string): TlsOptions;
	/** For `server.setSecureContext` after a change. */
	secureContextOptions(listener: string): SecureContextOptions;
	/** Who the agent at the other end is; once per socket, in `secureConnection`, before anything is read. */
	identifyTls(socket: TLSSocket): Identity | Refused;
	/** Sallyport's certificate and key, to be shown to an upstream. */
	clientTlsOptions(): { readonly cert: string; readonly key: string };
	/** PEM of the CAs that agents are judged by; also the `ca` towards an upstream with an expected id and no bundle of its own. */
	trustAnchors(): readonly string[];
	/** Why the upstream is not who it must be; by the trust bundle given, or by those that agents are judged by. */
	judgeUpstream(socket: TLSSocket, expected: string, trustBundlePem?: string): Refused | undefined;
	/** Looks at the source now; resolves when what it holds is in force, or with why it is not. */
	reload(): Promise<Broken | undefined>;
	close(): void;
}

/** Loads the SVID and watches its files. Rejects when there is no valid one: without an identity nothing can start. */
export async function openIdentity(config: IdentityConfig, deps: IdentityDeps): Promise<IdentitySource> {
	const source = new FileSource(config, deps);
	await source.start();
	return source;
}

class FileSource implements IdentitySource {
	readonly #config: IdentityConfig;
	readonly #deps: IdentityDeps;
	readonly #serverTls = new ServerTls();
	readonly #listeners = new Set<(svid: Svid) => void>();
	#svid: Svid | undefined;
	#handshakes = new Handshakes(new Map());
	#lastReload: IdentityReload | undefined;
	#lastBroken: string | undefined;
	#turn: Promise<unknown> = Promise.resolve();
	#watch: Watch | undefined;

	constructor(config: IdentityConfig, deps: IdentityDeps) {
		this.#config = config;
		this.#deps = deps;
	}

	async start(): Promise<void> {
		const { certificate, key, trust_bundle } = this.#config.svid.files;
		// Watched first and read then, so that no change falls between.
		this.#watch = await watchFiles([certificate, key, trust_bundle], () => void this.reload());
		const svid = await this.#read();
		if ('broken' in svid) {
			this.close();
			throw new Error(`identity: ${svid.broken}`);
		}
		this.#install(svid);
	}

	current(): Svid {
		if (this.#svid === undefined) throw new Error('the identity was not started');
		return this.#svid;
	}

	lastReload(): IdentityReload | undefined {
		return this.#lastReload;
	}

	onChange(listener: (svid: Svid) => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	serverTlsOptions(listener: string): TlsOptions {
		return this.#serverTls.serverOptions(this.current(), listener);
	}

	secureContextOptions(listener: string): SecureContextOptions {
		return this.#serverTls.contextOptions(this.current(), listener);
	}

	identifyTls(socket: TLSSocket): Identity | Refused {
		return this.#handshakes.identify(socket, this.#when());
	}

	clientTlsOptions(): { readonly cert: string; readonly key: string } {
		const { certificate, key } = this.current();
		return { cert: certificate, key };
	}

	trustAnchors(): readonly string[] {
		return caPem(this.current().trustBundles);
	}

	judgeUpstream(socket: TLSSocket, expected: string, trustBundlePem?: string): Refused | undefined {
		let bundles = this.current().trustBundles;
		if (trustBundlePem !== undefined) {
			const bundle = trustBundleFor(expected, trustBundlePem);
			if ('broken' in bundle) return refused('upstream_tls', `its trust bundle: ${bundle.broken}`);
			bundles = new Map([[bundle.trustDomain, bundle]]);
		}
		const judged = judgeUpstream(socket, expected, bundles, this.#when());
		return 'cause' in judged ? judged : undefined;
	}

	reload(): Promise<Broken | undefined> {
		// One after the other: an older reading must not be installed over a newer one.
		const turn = this.#turn.then(() => this.#reload());
		this.#turn = turn;
		return turn;
	}

	async #reload(): Promise<Broken | undefined> {
		const read = await this.#read();
		const at = this.#deps.clock.now();
		if ('broken' in read) {
			// The poll would repeat it for ever.
			if (read.broken !== this.#lastBroken) this.#tell({ at, taken: false, broken: read.broken });
			this.#lastBroken = read.broken;
			return read;
		}
		const mended = this.#lastBroken !== undefined;
		this.#lastBroken = undefined;
		const changed = read.revision !== this.#svid?.revision;
		if (changed) this.#install(read);
		if (changed || mended) this.#tell({ at, taken: true, svid: read });
		return changed ? this.#announce(read, at) : undefined;
	}

	/** A listener that cannot use the new SVID goes on with the old one; the others, and this process, go on too. */
	#announce(svid: Svid, at: number): Broken | undefined {
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

	close(): void {
		this.#watch?.close();
		this.#listeners.clear();
	}

	#when(): When {
		return { now: this.#deps.clock.now(), skew: this.#config.clock_skew };
	}

	async #read(): Promise<Svid | Broken> {
		const material = await readSvidFiles(this.#config.svid.files);
		return 'broken' in material ? material : openSvid(material, this.#config.trust_domain, this.#when());
	}

	#install(svid: Svid): void {
		if (svid.trustRevision !== this.#svid?.trustRevision) this.#handshakes = new Handshakes(svid.trustBundles);
		this.#svid = svid;
	}

	#tell(reload: IdentityReload): void {
		this.#lastReload = reload;
		this.#deps.report?.(reload);
	}
}
