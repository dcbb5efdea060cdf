/** Pauses that double, each up to a fifth shorter or longer, so that many who wait do not come together. */
export class Backoff {
	readonly #first: number;
	readonly #longest: number;
	readonly #random: () => number;
	#next: number;

	/** Milliseconds. `random` as Math.random. */
	constructor(first: number, longest: number, random: () => number = Math.random) {
		this.#first = first;
		this.#longest = longest;
		this.#random = random;
		this.#next = first;
	}

	/** The next pause, milliseconds. */
	pause(): number {
		const pause = this.#next;
		this.#next = Math.min(this.#longest, pause * 2);
		return Math.round(pause * (0.8 + 0.4 * this.#random()));
	}

	reset(): void {
		this.#next = this.#first;
	}
}
