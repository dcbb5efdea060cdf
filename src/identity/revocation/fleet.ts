import type { IdentityConfig } from '../../config/schema.ts';
import { type Watch, watchFiles } from '../../config/watch.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Clock, State } from '../../model/ports.ts';
import { fetchOnce } from '../../transfer/fetch.ts';
import { readBytes } from '../read-file.ts';
import type { Broken } from '../trust.ts';
import { type KeptList, loadList, saveList } from './kept-list.ts';
import { readVerifyKeys } from './list-key.ts';
import { MAX_LIST, readList } from './signed-list.ts';

export type FleetConfig = NonNullable<IdentityConfig['revocations']>;

export interface FleetDeps {
	readonly state: State;
	readonly clock: Clock;
	/** Another list is in force. Synchronous. */
	taken(list: KeptList): void;
	/** What a look found wrong, when that is something new; undefined when it is mended. */
	problem(broken: string | undefined): void;
}

/** How it is. Times are milliseconds since the epoch. */
export interface FleetStatus {
	readonly from: string;
	/** Absent while there is no list. */
	readonly list?: Pick<KeptList, 'sequence' | 'issued'> & { readonly revocations: number };
	/** The last look that found a good list, new or not. */
	readonly refreshed?: number;
	readonly problem?: string;
	/** The list is older than `max_age`, or there is none: calls are refused. */
	readonly stale: boolean;
}

/** The start waits for the first answer of a server so long and no longer, milliseconds: what was kept is in force. */
const FIRST_LOOK = 3_000;
/** How often a URL is asked where nothing is said, milliseconds. */
const POLL = 30_000;
/** Between two looks, milliseconds, whatever a server does. */
const SHORTEST = 250;
/** A server is not asked to hold an answer back for longer, milliseconds: what stands between has lost patience by then. */
const LONGEST_WAIT = 50_000;
/** How far a signer's clock may be ahead, milliseconds. A list from the future would stay young for too long. */
const AHEAD = 300_000;

const NONE = refused('identity_invalid', 'there is no list of revocations yet (identity.revocations)');
const STALE = refused('identity_invalid', 'the list of revocations is older than identity.revocations.max_age');

/** The signed list of a fleet, followed at a URL or in a file. The last good one is kept across restarts. */
export class FleetRevocations {
	readonly #config: FleetConfig;
	readonly #deps: FleetDeps;
	readonly #stop = new AbortController();
	#list: KeptList | undefined;
	#refreshed: number | undefined;
	#problem: string | undefined;
	#turn: Promise<unknown> = Promise.resolve();
	/** The look that may be held back by the server. */
	#waiting: AbortController | undefined;
	#timer: NodeJS.Timeout | undefined;
	#watch: Watch | undefined;

	constructor(config: FleetConfig, deps: FleetDeps) {
		this.#config = config;
		this.#deps = deps;
	}

	/** What was kept is in force when it resolves, and what can be had at once. Rejects when what was kept cannot be read. */
	async start(): Promise<void> {
		const { file, verify_key: key } = this.#config;
		this.#list = await loadList(this.#deps.state);
		if (file !== undefined) {
			// Watched first and read then, so that no change falls between.
			this.#watch = await watchFiles([file, key], () => void this.reload());
			await this.reload();
			return;
		}
		const first = this.#follow(0);
		let timer: NodeJS.Timeout | undefined;
		const patience = new Promise(resolve => {
			timer = setTimeout(resolve, FIRST_LOOK);
		});
		await Promise.race([first, patience]);
		clearTimeout(timer);
	}

	current(): KeptList | undefined {
		return this.#list;
	}

	/** Why nobody's calls can be let through now. */
	unknown(): Refused | undefined {
		const { max_age: longest } = this.#config;
		if (longest === undefined) return undefined;
		if (this.#list === undefined) return NONE;
		return this.#deps.clock.now() - this.#list.issued > longest ? STALE : undefined;
	}

	status(): FleetStatus {
		const { url, file } = this.#config;
		const list = this.#list;
		return {
			from: url ?? file ?? '',
			...(list === undefined
				? {}
				: { list: { sequence: list.sequence, issued: list.issued, revocations: list.revocations.length } }),
			...(this.#refreshed === undefined ? {} : { refreshed: this.#refreshed }),
			...(this.#problem === undefined ? {} : { problem: this.#problem }),
			stale: this.unknown() !== undefined,
		};
	}

	/** Looks now; resolves with why what is there was not taken. */
	async reload(): Promise<Broken | undefined> {
		if (this.#config.file !== undefined)
			return this.#inTurn(() => this.#lookAtFile().catch(error => this.#looked(brokenBy(error))));
		this.#waiting?.abort();
		return this.#follow(0);
	}

	close(): void {
		this.#stop.abort();
		this.#waiting?.abort();
		clearTimeout(this.#timer);
		this.#watch?.close();
	}

	/** One look at the URL, and the next when its time comes. `wait`: how long the server may hold its answer back. */
	#follow(wait: number): Promise<Broken | undefined> {
		return this.#inTurn(async () => {
			if (this.#stop.signal.aborted) return undefined;
			clearTimeout(this.#timer);
			const begun = performance.now();
			const before = this.#list;
			const broken = await this.#lookAtUrl(wait).catch(error => this.#looked(brokenBy(error)));
			if (this.#stop.signal.aborted) return undefined;
			const { poll = POLL } = this.#config;
			// After a change the server is asked to wait for the next one at once; else as often as was said.
			const pause =
				this.#list?.sequence !== before?.sequence ? SHORTEST : Math.max(SHORTEST, begun + poll - performance.now());
			this.#timer = setTimeout(() => void this.#follow(Math.min(poll, LONGEST_WAIT)), pause);
			this.#timer.unref();
			return broken;
		});
	}

	#inTurn<T>(run: () => Promise<T>): Promise<T> {
		const turn = this.#turn.then(run);
		this.#turn = turn.catch(() => {});
		return turn;
	}

	async #lookAtFile(): Promise<Broken | undefined> {
		const bytes = await readBytes(this.#config.file ?? '', MAX_LIST);
		return this.#looked('broken' in bytes ? bytes : await this.#take(bytes, {}));
	}

	async #lookAtUrl(wait: number): Promise<Broken | undefined> {
		const { url = '', roots } = this.#config;
		const waiting = new AbortController();
		this.#waiting = waiting;
		const pem = roots === undefined ? undefined : await readBytes(roots);
		if (pem !== undefined && 'broken' in pem) return this.#looked(pem);
		const held = this.#list;
		// A tag is the server's that gave it; and a list whose key is not trusted any more is to be seen again.
		const etag = held?.url === url && (await this.#trusts(held)) ? held.etag : undefined;
		const fetched = await fetchOnce(new URL(url), {
			accept: 'application/jose',
			maxBytes: MAX_LIST,
			signal: waiting.signal,
			...(etag === undefined ? {} : { etag, wait }),
			...(pem === undefined ? {} : { roots: pem.toString('utf8') }),
		});
		this.#waiting = undefined;
		// Given up for a look that does not wait: nothing was found out.
		if (waiting.signal.aborted) return undefined;
		if (fetched === 'unchanged')
			return this.#looked(etag === undefined ? { broken: 'the server answers 304 unasked' } : undefined);
		if ('broken' in fetched) return this.#looked(fetched);
		const { body, etag: tag } = fetched;
		return this.#looked(await this.#take(body, { url, ...(tag === undefined ? {} : { etag: tag }) }));
	}

	async #trusts({ key }: KeptList): Promise<boolean> {
		const keys = await this.#keys();
		return !('broken' in keys) && keys.some(({ id }) => id === key);
	}

	async #keys(): Promise<ReturnType<typeof readVerifyKeys>> {
		const pem = await readBytes(this.#config.verify_key);
		if ('broken' in pem) return pem;
		const keys = readVerifyKeys(pem.toString('utf8'));
		return 'broken' in keys ? { broken: `verify_key: ${keys.broken}` } : keys;
	}

	/** Takes what was found, if it is good and not older than what is in force. */
	async #take(bytes: Buffer, from: Pick<KeptList, 'url' | 'etag'>): Promise<Broken | undefined> {
		const keys = await this.#keys();
		if ('broken' in keys) return keys;
		const list = readList(bytes, keys);
		if ('broken' in list) return list;
		if (list.issued > this.#deps.clock.now() + AHEAD) return { broken: 'it was issued in the future' };
		const held = this.#list;
		// A key that is trusted no more leaves its list in force, but has no say in what may follow.
		if (held !== undefined && keys.some(({ id }) => id === held.key)) {
			if (list.sequence < held.sequence)
				return { broken: `its sequence ${list.sequence} is older than ${held.sequence}, which is in force` };
			if (list.sequence === held.sequence) {
				const same =
					list.issued === held.issued && JSON.stringify(list.revocations) === JSON.stringify(held.revocations);
				if (!same) return { broken: `two lists have the sequence ${list.sequence}` };
				// By another tag or from another place: what asks for the next one is what came with it.
				if (held.url === from.url && held.etag === from.etag && held.key === list.key) return undefined;
				this.#list = { ...list, ...from };
				return this.#keep(this.#list);
			}
		}
		const taken = { ...list, ...from };
		this.#list = taken;
		this.#deps.taken(taken);
		return this.#keep(taken);
	}

	async #keep(taken: KeptList): Promise<Broken | undefined> {
		try {
			await saveList(this.#deps.state, taken);
			return undefined;
		} catch (error) {
			return { broken: `it is in force, but not kept: ${brokenBy(error).broken}` };
		}
	}

	#looked(broken: Broken | undefined): Broken | undefined {
		if (broken === undefined) this.#refreshed = this.#deps.clock.now();
		const before = this.#problem;
		this.#problem = broken?.broken;
		if (before !== this.#problem) this.#deps.problem(this.#problem);
		return broken;
	}
}

const brokenBy = (error: unknown): Broken => ({ broken: error instanceof Error ? error.message : String(error) });
