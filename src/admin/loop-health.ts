/** What /livez says of the event loop. Milliseconds. */
export interface LoopState {
	readonly stalled: boolean;
	/** The longest that a beat was late within the time that is remembered. */
	readonly worst: number;
}

export interface LoopLimits {
	/** A beat that is later than this is a stall. */
	readonly stall: number;
	/** How long a stall is remembered: whoever asks is only answered after it. */
	readonly memory: number;
	readonly beat: number;
}

export const LOOP_LIMITS: LoopLimits = { stall: 2_000, memory: 10_000, beat: 500 };

/**
 * A heartbeat that notices how late it is. A loop that stands still answers nobody; one that stood still a moment ago
 * says so for a while, so that a prober that looks now and then sees it.
 */
export class LoopHealth {
	readonly #limits: LoopLimits;
	readonly #now: () => number;
	readonly #timer: NodeJS.Timeout;
	#due: number;
	#worst = 0;
	#worstAt = Number.NEGATIVE_INFINITY;

	constructor(limits: LoopLimits = LOOP_LIMITS, now: () => number = () => performance.now()) {
		this.#limits = limits;
		this.#now = now;
		this.#due = now() + limits.beat;
		this.#timer = setInterval(() => this.beat(), limits.beat);
		this.#timer.unref();
	}

	/** Runs by itself. */
	beat(): void {
		const now = this.#now();
		this.#note(now, now - this.#due);
		this.#due = now + this.#limits.beat;
	}

	state(): LoopState {
		const now = this.#now();
		this.#note(now, now - this.#due);
		return { stalled: this.#worst > this.#limits.stall, worst: Math.max(0, Math.round(this.#worst)) };
	}

	close(): void {
		clearInterval(this.#timer);
	}

	#note(now: number, late: number): void {
		if (late >= this.#worst || now - this.#worstAt > this.#limits.memory) {
			this.#worst = late;
			this.#worstAt = now;
		}
	}
}
