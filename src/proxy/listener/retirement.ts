/** An entrance that a reload took the listener from: it ends with its last connection. */
export class Retirement {
	readonly #size: () => number;
	#empty: (() => void) | undefined;

	/** `size`: how many connections are left. */
	constructor(size: () => number) {
		this.#size = size;
	}

	/** From now on `empty` runs, once, when no connection is left. */
	begin(empty: () => void): void {
		this.#empty = empty;
		this.look();
	}

	/** To be called when a connection has gone. */
	look(): void {
		const empty = this.#empty;
		if (empty === undefined || this.#size() > 0) return;
		this.#empty = undefined;
		empty();
	}
}
