import type { Limits } from '../../config/schema.ts';
import type { Identity } from '../../model/agent.ts';

/** `close_idle`: connections end between requests or transactions; `close`: at once. */
export type OnExpiry = Limits['on_expiry'];

/** Longest time before the end in which answers say that the connection closes, milliseconds, and its part of the whole. */
const NOTICE = 10_000;
const NOTICE_PART = 0.1;

/** What becomes of connections whose agent's identity expires while they are open. */
export class Expiry {
	readonly #mode: OnExpiry;
	readonly #now: () => number;

	/** `now`: milliseconds since the epoch. */
	constructor(mode: OnExpiry, now: () => number) {
		this.#mode = mode;
		this.#now = now;
	}

	/** Undefined while the identity is good. */
	of({ notAfter }: Identity): OnExpiry | undefined {
		return notAfter !== undefined && notAfter <= this.#now() ? this.#mode : undefined;
	}

	/**
	 * From when on no new request is asked for on a connection that begins now, milliseconds since the epoch: a little
	 * before the end, so that no request meets it on its way.
	 */
	noticeOf({ notAfter }: Identity): number {
		if (notAfter === undefined) return Number.POSITIVE_INFINITY;
		return notAfter - Math.min(NOTICE, Math.max(0, notAfter - this.#now()) * NOTICE_PART);
	}
}
