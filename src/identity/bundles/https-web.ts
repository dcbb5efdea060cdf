import { download } from '../../transfer/fetch.ts';
import { readBytes } from '../read-file.ts';
import type { Broken } from '../trust.ts';
import { type BundleSource, type BundleStatus, type DomainBundle, documentBundle } from './bundle.ts';
import { KeptBundle, type KeptBundleDeps } from './kept.ts';

export interface EndpointConfig {
	readonly url: string;
	/** Milliseconds; what the bundle itself says when absent. */
	readonly refresh?: number | undefined;
	/** Path of PEM CAs, where the endpoint's certificate is not one of the public Web PKI. */
	readonly roots?: string | undefined;
}

export interface EndpointDeps extends KeptBundleDeps {
	/** The shortest time between fetches that a bundle may ask for, milliseconds; {@link SHORTEST_HINT} when absent. */
	readonly shortestHint?: number;
}

/** Without a hint (SPIFFE_Federation.md §4.1). */
const DEFAULT_REFRESH = 300_000;
/** Milliseconds. Every change renews TLS contexts and ends tickets, so that another's bundle may not ask for one at any time. */
const SHORTEST_HINT = 10_000;
const SHORTEST = 1_000;
const LONGEST = 24 * 3_600_000;
/** First pause while there is no bundle at all; doubled up to the usual one. */
const FIRST_RETRY = 1_000;

/**
 * A trust domain's bundle from its bundle endpoint, profile `https_web` (SPIFFE_Federation.md §5.2.1): fetched again as
 * often as it asks for. A failure leaves the last good one, and the next try is at the usual time (§6.2).
 */
export class BundleEndpoint implements BundleSource {
	readonly trustDomain: string;
	readonly #config: EndpointConfig;
	readonly #url: URL;
	readonly #kept: KeptBundle;
	readonly #shortestHint: number;
	#turn: Promise<unknown> = Promise.resolve();
	#timer: NodeJS.Timeout | undefined;
	#retry = FIRST_RETRY;
	#closed = false;

	constructor(trustDomain: string, config: EndpointConfig, deps: EndpointDeps) {
		this.trustDomain = trustDomain;
		this.#config = config;
		this.#url = new URL(config.url);
		this.#kept = new KeptBundle(trustDomain, 'https_web', config.url, deps);
		this.#shortestHint = deps.shortestHint ?? SHORTEST_HINT;
	}

	/** Does not wait: somebody else's server must not hold up the start. */
	async start(): Promise<void> {
		void this.reload();
	}

	current(): DomainBundle | undefined {
		return this.#kept.bundle;
	}

	status(): BundleStatus {
		return this.#kept.status();
	}

	reload(): Promise<Broken | undefined> {
		const turn = this.#turn.then(() => this.#look());
		this.#turn = turn;
		return turn;
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	async #look(): Promise<Broken | undefined> {
		clearTimeout(this.#timer);
		const read = await this.#read();
		if (this.#closed) return undefined;
		const broken = this.#kept.take(read);
		this.#timer = setTimeout(() => void this.reload(), this.#pause());
		this.#timer.unref();
		return broken;
	}

	#pause(): number {
		const { bundle } = this.#kept;
		const usual = this.#config.refresh ?? Math.max(this.#shortestHint, bundle?.refreshHint ?? DEFAULT_REFRESH);
		const bounded = Math.min(LONGEST, Math.max(SHORTEST, usual));
		if (bundle !== undefined) return bounded;
		const pause = Math.min(this.#retry, bounded);
		this.#retry = pause * 2;
		return pause;
	}

	async #read(): Promise<DomainBundle | Broken> {
		const { roots } = this.#config;
		const pem = roots === undefined ? undefined : await readBytes(roots);
		if (pem !== undefined && 'broken' in pem) return pem;
		const bytes = await download(this.#url, pem === undefined ? {} : { roots: pem.toString('utf8') });
		if ('broken' in bytes) return bytes;
		const read = documentBundle(this.trustDomain, bytes);
		if ('broken' in read) return read;
		const held = this.#kept.bundle?.sequence;
		// A cache on the way, or somebody in it, must not bring back keys that were withdrawn (§4.2).
		if (held !== undefined && read.sequence !== undefined && read.sequence < held)
			return { broken: `its spiffe_sequence ${read.sequence} is older than ${held}, which is in force` };
		return read;
	}
}
