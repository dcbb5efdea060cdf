import { codeOf } from './io.ts';

/** Puts batches on the disk itself, one fdatasync(2) at a time: what is written meanwhile shares the next one. */
export class Syncer<Batch> {
	readonly #sync: (done: (error: Error | null) => void) => void;
	readonly #done: (failure: string | undefined, batches: readonly Batch[]) => void;
	#waiting: Batch[] = [];
	#busy = false;
	#settled: (() => void)[] = [];

	constructor(
		sync: (done: (error: Error | null) => void) => void,
		done: (failure: string | undefined, batches: readonly Batch[]) => void,
	) {
		this.#sync = sync;
		this.#done = done;
	}

	/** While it is, the file must stay open. */
	get busy(): boolean {
		return this.#busy;
	}

	add(batch: Batch): void {
		this.#waiting.push(batch);
		if (!this.#busy) this.#begin();
	}

	/** Resolves when nothing waits. */
	settled(): Promise<void> {
		return this.#busy ? new Promise(resolve => this.#settled.push(resolve)) : Promise.resolve();
	}

	#begin(): void {
		const batches = this.#waiting;
		this.#waiting = [];
		this.#busy = true;
		this.#sync(error => {
			this.#busy = false;
			this.#done(error === null ? undefined : codeOf(error), batches);
			// The report may have led to new batches, and those to a sync of their own.
			if (this.#busy) return;
			if (this.#waiting.length > 0) return this.#begin();
			const settled = this.#settled;
			this.#settled = [];
			for (const resolve of settled) resolve();
		});
	}
}
