/** First and longest pause after a failure, milliseconds. */
const RETRY_MS = 100;
const RETRY_MOST_MS = 30_000;
/** So much of a second's bytes may go at once. */
const BURST_MS = 250;

/** How fast a sink is given records: not beyond its rate, and ever more seldom while it takes none. */
export class Pace {
	readonly #rate: number;
	#retry = RETRY_MS;
	/** When what was given so far is paid off, by `performance.now()`. */
	#paid = 0;

	/** `rate` in bytes per second. */
	constructor(rate: number | undefined) {
		this.#rate = rate ?? Number.POSITIVE_INFINITY;
	}

	/** It took so many bytes: milliseconds until the next may come. */
	took(bytes: number): number {
		this.#retry = RETRY_MS;
		const now = performance.now();
		this.#paid = Math.max(now, this.#paid) + (bytes / this.#rate) * 1000;
		return Math.max(0, this.#paid - now - BURST_MS);
	}

	/** It took nothing: milliseconds until it is tried again. By chance, so that not all come back at the same time. */
	failed(asked = 0): number {
		const pause = this.#retry * (0.5 + Math.random() / 2);
		this.#retry = Math.min(this.#retry * 2, RETRY_MOST_MS);
		return Math.max(asked, pause);
	}
}
