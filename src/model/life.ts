import type { Cause } from './cause.ts';

type Ender = (cause: Cause) => void;

/**
 * The life of a connection or call. Ending it ends, synchronously and once, everything that hangs on it:
 * sockets, requests in flight, child lives. A permit is good only while its life is.
 */
export class Life {
	#cause: Cause | undefined;
	#enders: Set<Ender> | undefined;

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
		const enders = this.#enders;
		this.#enders = undefined;
		if (enders === undefined) return;
		let first: unknown;
		for (const ender of enders) {
			try {
				ender(cause);
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
		this.#enders ??= new Set();
		const enders = this.#enders;
		enders.add(ender);
		return () => {
			enders.delete(ender);
		};
	}

	/** A life that ends with this one, or earlier. `release` lets go of the parent when it ended earlier. */
	child(): { readonly life: Life; release(): void } {
		const life = new Life();
		const release = this.onEnd(cause => life.end(cause));
		return { life, release };
	}
}
