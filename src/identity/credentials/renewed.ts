import { Backoff } from '../sources/backoff.ts';
import type { Broken } from '../trust.ts';
import type { LivingSource, LivingValue, ValueDeps, ValueState } from './value.ts';

/** What a source gave. Milliseconds since the epoch. */
export interface Fetched {
	readonly text: string;
	/** Until when it is good. */
	readonly expires: number;
	/** When to ask for the next one. */
	readonly renew: number;
}

export interface RenewedSource {
	readonly kind: 'command' | 'jwt_svid';
	readonly from: string;
	/** Never rejects. `broken` holds nothing secret. */
	fetch(signal: AbortSignal): Promise<Fetched | Broken>;
}

/** Pauses after failures, milliseconds. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
/** Between two looks there is at least this, milliseconds. */
const SHORTEST = 250;
/** The longest that a timer takes, milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * A value that ends by itself: another is fetched, beside the calls, before it does. While none is to be had the one
 * before stays in use until its end.
 */
export class RenewedValue implements LivingValue, LivingSource {
	readonly kind: RenewedSource['kind'];
	readonly from: string;
	readonly values: readonly LivingValue[] = [this];
	readonly #source: RenewedSource;
	readonly #deps: ValueDeps;
	readonly #backoff = new Backoff(FIRST_PAUSE, LONGEST_PAUSE);
	#held: (Fetched & { readonly since: number }) | undefined;
	#problem: string | undefined;
	#timer: NodeJS.Timeout | undefined;
	/** The look that is under way. */
	#looking: AbortController | undefined;
	#told = '';
	#closed = false;

	constructor(source: RenewedSource, deps: ValueDeps) {
		this.kind = source.kind;
		this.from = source.from;
		this.#source = source;
		this.#deps = deps;
	}

	current(): string | undefined {
		const held = this.#held;
		return held !== undefined && this.#deps.clock.now() < held.expires ? held.text : undefined;
	}

	state(): ValueState {
		const held = this.#held;
		return {
			...(held === undefined ? {} : { since: held.since, expires: held.expires }),
			...(this.#problem === undefined ? {} : { problem: this.#problem }),
		};
	}

	start(): Promise<void> {
		return this.#look();
	}

	async refresh(): Promise<void> {
		if (this.#problem !== undefined && this.#looking === undefined) await this.#look();
	}

	/** Nothing of before is good any more: another one is fetched at once. */
	async forget(): Promise<void> {
		this.#held = undefined;
		this.#looking?.abort();
		this.#looking = undefined;
		this.#backoff.reset();
		await this.#look();
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
		this.#looking?.abort();
	}

	async #look(): Promise<void> {
		clearTimeout(this.#timer);
		if (this.#closed) return;
		const looking = new AbortController();
		this.#looking = looking;
		const found = await this.#source.fetch(looking.signal);
		if (this.#looking !== looking || this.#closed) return;
		this.#looking = undefined;
		this.#timer = setTimeout(() => void this.#look(), Math.min(LONGEST_TIMER, this.#take(found)));
		this.#timer.unref();
		// A failure that goes on is told again when the value that was left has come to its end.
		const state = `${this.#held?.since ?? ''} ${this.current() === undefined} ${this.#problem ?? ''}`;
		if (state !== this.#told) this.#deps.news();
		this.#told = state;
	}

	/** Takes over what was found, and says after how long to look again. */
	#take(fetched: Fetched | Broken): number {
		const now = this.#deps.clock.now();
		const found =
			'broken' in fetched || fetched.expires > now ? fetched : { broken: 'what it gives is over before it is there' };
		if ('broken' in found) {
			this.#problem = found.broken;
			const left = (this.#held?.expires ?? 0) - now;
			const pause = this.#backoff.pause();
			return left > 0 ? Math.min(pause, left + 1) : pause;
		}
		this.#backoff.reset();
		this.#problem = undefined;
		if (found.text !== this.#held?.text || found.expires !== this.#held.expires)
			this.#held = { ...found, since: found.text === this.#held?.text ? this.#held.since : now };
		return Math.max(SHORTEST, found.renew - now);
	}
}
