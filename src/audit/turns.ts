/** How long records wait that nobody waits for, milliseconds. */
const PATIENCE = 5;

/** When records are written: with the end of this turn of the event loop, or a little later. */
export class Turns {
	readonly #run: () => void;
	#scheduled = false;
	#timer: NodeJS.Timeout | undefined;

	constructor(run: () => void) {
		this.#run = run;
	}

	/** At the end of this turn. */
	schedule(): void {
		if (this.#scheduled) return;
		this.#scheduled = true;
		setImmediate(this.#immediate);
	}

	/** With the next turn that somebody waits for, or after some milliseconds. */
	later(): void {
		if (this.#scheduled || this.#timer !== undefined) return;
		this.#timer = setTimeout(this.#due, PATIENCE);
	}

	/** Forgets what was to happen later. */
	stop(): void {
		clearTimeout(this.#timer);
	}

	readonly #due = (): void => {
		this.#timer = undefined;
		if (!this.#scheduled) this.#run();
	};

	readonly #immediate = (): void => {
		this.#scheduled = false;
		this.#run();
	};
}
