import type { BundlePoll } from '../../config/policy-bundle.ts';
import type { Clock } from '../../model/ports.ts';
import { sha256InTurns } from '../digest.ts';
import type { RemoteConfig } from '../locate.ts';
import { type Problem, placed, printProblem } from '../problem.ts';
import { type Download, KeptDownload } from './kept.ts';
import { Server, type ServerAccess } from './server.ts';

/** How a bundle from a server is. Times are milliseconds since the epoch. */
export interface RemoteStatus {
	readonly name: string;
	readonly url: string;
	/** Of the one that was taken last. */
	readonly revision?: string;
	readonly etag?: string;
	/** Bytes of its archive. */
	readonly size?: number;
	/** It was kept from before the start, and the server has not confirmed it. */
	readonly fromDisk?: true;
	readonly lastRequest?: number;
	/** The last request that was answered as it should be, with something new or not. */
	readonly lastSuccess?: number;
	readonly lastDownload?: number;
	readonly lastActivation?: number;
	/** Why the last request, or what it brought, was not good. The bundle before is in force. */
	readonly problem?: string;
	/** Failures since the start. */
	readonly failures: number;
}

/** What happened, for the log. */
export interface RemoteNews {
	readonly name: string;
	readonly url: string;
	readonly kind: 'started_from_disk' | 'failed' | 'mended' | 'not_kept';
	readonly problem?: string;
}

export interface RemoteDeps {
	readonly clock: Clock;
	readonly access?: ServerAccess | undefined;
	/** `policy.keep`. */
	readonly keep: string;
	/** Loads an archive, and has it in force as soon as every other bundle is there. Never rejects. */
	take(archive: Buffer): Promise<Taken>;
	news(news: RemoteNews): void;
}

/** The bundle that it is, with the SHA-256 of its archive, or what is wrong with it. */
export type Taken = { readonly revision: string; readonly digest: string } | { readonly problems: readonly Problem[] };

/** The start waits for the first answer of a server so long and no longer, milliseconds; less, when one was kept. */
const FIRST_LOOK = 3_000;
const FIRST_LOOK_KEPT = 1_000;
/** Between two requests, milliseconds, whatever a server does. */
const SHORTEST = 250;
const FIRST_RETRY = 1_000;
/** What was refused is not loaded again for so long, milliseconds: keys, disk and memory may be others by then. */
const REFUSED_FOR = 600_000;
const MOST = 64 * 1024 * 1024;
const POLL: BundlePoll = { min: 60_000, max: 120_000, wait: 50_000 };
/** For a request that does not wait: nothing was found out. */
const GIVEN_UP = Symbol('given up');
/** What a server says that holds answers back until there is something new (openpolicyagent.org, "Bundles"). */
const LONG_POLLING = 'application/vnd.openpolicyagent.bundles';

/**
 * One bundle by OPA's bundle protocol: asked for by ETag, with pauses of random length, or, where the server can, by
 * long polling. The tag is believed only after the bundle was taken, so a bad one is asked for again.
 */
export class RemoteBundle {
	readonly #name: string;
	readonly #config: RemoteConfig;
	readonly #deps: RemoteDeps;
	readonly #poll: BundlePoll;
	readonly #server: Server;
	readonly #kept: KeptDownload | undefined;
	readonly #stop = new AbortController();
	#turn: Promise<unknown> = Promise.resolve();
	#waiting: AbortController | undefined;
	#timer: NodeJS.Timeout | undefined;
	#held: (Download & { readonly revision: string; readonly digest: string }) | undefined;
	/** What was refused last, and why; until a monotonic time in milliseconds, or until somebody asks for it. */
	#refused: { readonly digest: string; readonly problem: string; readonly until: number } | undefined;
	#longPolling = false;
	#retry = FIRST_RETRY;
	#facts: Pick<RemoteStatus, 'fromDisk' | 'lastRequest' | 'lastSuccess' | 'lastActivation' | 'problem'> = {};
	#failures = 0;

	constructor(name: string, config: RemoteConfig, deps: RemoteDeps) {
		this.#name = name;
		this.#config = config;
		this.#deps = deps;
		this.#poll = config.poll ?? POLL;
		this.#server = new Server(config, deps.access);
		this.#kept = config.persist === false ? undefined : new KeptDownload(deps.keep, name, config.url);
	}

	/** What was kept is in force when it resolves, and what can be had at once. Never rejects. */
	async start(): Promise<void> {
		await this.#server.open();
		await this.#fromDisk();
		let timer: NodeJS.Timeout | undefined;
		const patience = new Promise(resolve => {
			timer = setTimeout(resolve, this.#held === undefined ? FIRST_LOOK : FIRST_LOOK_KEPT);
		});
		await Promise.race([this.#follow(0), patience]);
		clearTimeout(timer);
	}

	status(): RemoteStatus {
		const held = this.#held;
		return {
			name: this.#name,
			url: this.#config.url,
			...(held === undefined
				? {}
				: { revision: held.revision, size: held.archive.length, lastDownload: held.downloaded }),
			...(held?.etag === undefined ? {} : { etag: held.etag }),
			...this.#facts,
			failures: this.#failures,
		};
	}

	/** Asks now; resolves with why what is there was not taken, and where. */
	async look(): Promise<string | undefined> {
		this.#waiting?.abort();
		const problem = await this.#follow(0, true);
		return problem === undefined ? undefined : placed(problem, this.#config.url);
	}

	close(): void {
		this.#stop.abort();
		this.#waiting?.abort();
		clearTimeout(this.#timer);
	}

	async #fromDisk(): Promise<void> {
		try {
			const kept = await this.#kept?.load();
			if (kept === undefined) return;
			const problem = await this.#take(kept);
			if (problem !== undefined) {
				this.#deps.news(this.#said('failed', `the bundle that was kept is not taken: ${problem}`));
				return;
			}
			this.#facts = { ...this.#facts, fromDisk: true };
			this.#deps.news(this.#said('started_from_disk'));
		} catch (error) {
			this.#deps.news(this.#said('failed', `the bundle that was kept cannot be read: ${wordsOf(error)}`));
		}
	}

	/** One request, and the next when its time comes. `wait`: how long the server may hold its answer back; `anew`: of what was refused, too. */
	#follow(wait: number, anew = false): Promise<string | undefined> {
		const turn = this.#turn.then(async () => {
			if (this.#stop.signal.aborted) return undefined;
			if (anew) this.#refused = undefined;
			clearTimeout(this.#timer);
			const begun = performance.now();
			const before = this.#held;
			const problem = await this.#ask(wait).catch(wordsOf);
			if (this.#stop.signal.aborted || problem === GIVEN_UP) return undefined;
			this.#looked(problem);
			const changed = this.#held?.digest !== before?.digest;
			const waited = wait > 0 && performance.now() - begun >= wait / 2;
			const pause = this.#pause(problem, changed || waited);
			this.#timer = setTimeout(() => void this.#follow(this.#mayWait()), pause);
			this.#timer.unref();
			return problem;
		});
		this.#turn = turn.catch(() => {});
		return turn;
	}

	/** `held`: the server answered when there was something to say, and not at once. */
	#pause(problem: string | undefined, held: boolean): number {
		const { min, max } = this.#poll;
		if (problem === undefined && held && this.#mayWait() > 0) return SHORTEST;
		const pause = min + Math.random() * (max - min);
		if (problem === undefined || this.#held !== undefined) {
			this.#retry = FIRST_RETRY;
			return pause;
		}
		// Without any bundle every call is refused: that is worth asking more often for.
		const sooner = Math.min(pause, this.#retry * (0.8 + 0.4 * Math.random()));
		this.#retry *= 2;
		return sooner;
	}

	#mayWait(): number {
		return this.#longPolling && this.#held?.etag !== undefined ? this.#poll.wait : 0;
	}

	async #ask(wait: number): Promise<string | typeof GIVEN_UP | undefined> {
		const waiting = new AbortController();
		this.#waiting = waiting;
		const { clock } = this.#deps;
		const { limit = MOST } = this.#config;
		const etag = this.#held?.etag;
		this.#facts = { ...this.#facts, lastRequest: clock.now() };
		const fetched = await this.#server.fetch({
			accept: `${LONG_POLLING}, application/gzip, */*;q=0.1`,
			prefer: 'modes=snapshot',
			maxBytes: limit,
			signal: waiting.signal,
			...(etag === undefined ? {} : { etag, wait }),
		});
		this.#waiting = undefined;
		if (waiting.signal.aborted) return GIVEN_UP;
		if (fetched === 'unchanged') return etag === undefined ? 'the server answers 304 unasked' : undefined;
		if ('broken' in fetched) return fetched.broken;
		this.#longPolling = fetched.type === LONG_POLLING;
		const { body: archive, etag: tag } = fetched;
		const download = { archive, downloaded: clock.now(), ...(tag === undefined ? {} : { etag: tag }) };
		const digest = await sha256InTurns(archive);
		const same = digest === this.#held?.digest;
		const refused = this.#refused;
		if (!same && digest === refused?.digest && performance.now() < refused.until) return refused.problem;
		if (same && this.#held !== undefined) {
			const { etag: _, ...held } = this.#held;
			this.#held = { ...held, ...download };
		} else {
			const problem = await this.#take(download);
			if (problem !== undefined) {
				this.#refused = { digest, problem, until: performance.now() + REFUSED_FOR };
				return problem;
			}
		}
		this.#refused = undefined;
		await this.#kept
			?.save({ ...download, digest }, !same)
			.catch(error => this.#deps.news(this.#said('not_kept', wordsOf(error))));
		return undefined;
	}

	/** Undefined when it is in force, or will be with the others. */
	async #take(download: Download): Promise<string | undefined> {
		const taken = await this.#deps.take(download.archive);
		if ('problems' in taken) return taken.problems.map(printProblem).join('; ');
		this.#held = { ...download, ...taken };
		this.#facts = { ...this.#facts, lastActivation: this.#deps.clock.now() };
		return undefined;
	}

	#looked(problem: string | undefined): void {
		const before = this.#facts.problem;
		const { problem: _, fromDisk, ...facts } = this.#facts;
		if (problem === undefined) {
			this.#facts = { ...facts, lastSuccess: this.#deps.clock.now() };
			if (before !== undefined) this.#deps.news(this.#said('mended'));
			return;
		}
		this.#failures++;
		this.#facts = { ...facts, ...(fromDisk === undefined ? {} : { fromDisk }), problem };
		if (before !== problem) this.#deps.news(this.#said('failed', problem));
	}

	#said(kind: RemoteNews['kind'], problem?: string): RemoteNews {
		return { name: this.#name, url: this.#config.url, kind, ...(problem === undefined ? {} : { problem }) };
	}
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
