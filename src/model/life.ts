import type { Cause } from './cause.ts';

type Ender = (cause: Cause) => void;

/** One that hangs on a life, and its place there; -1 when it does not any more. */
interface Hold {
	readonly ender: Ender;
	place: number;
}

/**
 * The life of a connection or call. Ending it ends, synchronously and once, everything that hangs on it:
 * sockets, requests in flight, child lives. A permit is good only while its life is.
 */
export class Life {
	#cause: Cause | undefined;
	/** In no order. Not a Set: what calls leave behind in one that lives as long as a connection keeps later calls in memory. */
	#holds: Hold[] | undefined;

	/** Why it ended; undefined while it lasts. */
	get cause(): Cause | undefined {
		return this.#cause;
	}

	get ended(): boolean {
		return this.#cause !== undefined;
	}

	/** Ends it; a second call changes nothing. An ender that throws does not keep the others from running. */
	end(cause: Cause): void {
		if (this.#cause !== undefined) return;
		this.#cause = cause;
		const holds = this.#holds;
		this.#holds = undefined;
		if (holds === undefined) return;
		let first: unknown;
		for (const hold of [...holds]) {
			if (hold.place < 0) continue;
			hold.place = -1;
			try {
				hold.ender(cause);
			} catch (error) {
				first ??= error;
			}
		}
		if (first !== undefined) throw first;
	}

	/** Runs `ender` at the end (at once if it has ended). Returns a function that takes it back. */
	onEnd(ender: Ender): () => void {
		if (this.#cause !== undefined) {
			ender(this.#cause);
			return () => {};
		}
		const hold: Hold = { ender, place: 0 };
		if (this.#holds === undefined) this.#holds = [hold];
		else hold.place = this.#holds.push(hold) - 1;
		return () => this.#drop(hold);
	}

	#drop(hold: Hold): void {
		const { place } = hold;
		const holds = this.#holds;
		hold.place = -1;
		if (place < 0 || holds === undefined) return;
		const last = holds.pop();
		if (last === undefined || last === hold) return;
		holds[place] = last;
		last.place = place;
	}

	/** A life that ends with this one, or earlier. `release` lets go of the parent when it ended earlier. */
	child(): { readonly life: Life; release(): void } {
		const life = new Life();
		const release = this.onEnd(cause => life.end(cause));
		return { life, release };
	}
}
