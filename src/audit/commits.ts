/** Those who wait for one write, and the records that it wrote. */
interface Waiting<Batch> {
	readonly batch: Batch;
	readonly first: number;
	readonly last: number;
	/** By `performance.now()`. */
	readonly until: number;
	/** The sink refused one of its records for good. */
	refused: boolean;
}

export interface CommitsOptions<Batch> {
	/** How long the sink may take, milliseconds. */
	readonly timeout: number;
	/** The sink has all records of a batch, or not: in time, or ever. */
	readonly done: (batch: Batch, taken: boolean) => void;
	/** The sink was too late for the first time since it last had everything. */
	readonly late: () => void;
}

/** Batches of records whose calls go on when one sink has taken them: `audit.commit`. */
export class Commits<Batch> {
	readonly #o: CommitsOptions<Batch>;
	#waiting: Waiting<Batch>[] = [];
	/** Of the last record that was written. */
	#written: number;
	/** Of the last record that the sink has: with `durability: fsync` it may have it before the disk does. */
	#taken = 0;
	/** Refusals of records whose batch has not come yet. */
	#early: { readonly seq: number; readonly count: number }[] = [];
	/** What the sink must have before it is in time again; 0 while it is. */
	#owed = 0;
	#timer: NodeJS.Timeout | undefined;

	/** `written`: the last record of the chain before. */
	constructor(options: CommitsOptions<Batch>, written: number) {
		this.#o = options;
		this.#written = written;
	}

	/** The sink was too late, and has not caught up. */
	get late(): boolean {
		return this.#owed > 0;
	}

	/** Records up to `seq` were written; nobody waits for them. */
	pass(seq: number): void {
		this.#written = seq;
		this.#early = this.#early.filter(early => early.seq > seq);
		// Whoever waited now would wait for all that the sink lacks.
		if (this.#owed > 0) this.#owed = seq;
	}

	/** Records up to `seq` were written, and the batch waits for the sink. */
	add(batch: Batch, seq: number): void {
		const until = performance.now() + this.#o.timeout;
		const waiting = { batch, first: this.#written + 1, last: seq, until, refused: false };
		for (const early of this.#early) if (holds(waiting, early.seq, early.count)) waiting.refused = true;
		this.#written = seq;
		this.#early = this.#early.filter(early => early.seq > seq);
		if (seq <= this.#taken) {
			this.#o.done(batch, !waiting.refused);
			return;
		}
		this.#waiting.push(waiting);
		this.#timer ??= setTimeout(() => this.#expire(), this.#o.timeout);
	}

	/** The sink has every record up to `seq`, but those that it refused. */
	taken(seq: number): void {
		this.#taken = seq;
		if (this.#owed <= seq) this.#owed = 0;
		let count = 0;
		for (const { last } of this.#waiting) {
			if (last > seq) break;
			count++;
		}
		for (const { batch, refused } of this.#waiting.splice(0, count)) this.#o.done(batch, !refused);
	}

	/** The sink refuses `count` of the records from `seq` on, or just that one. */
	refused(seq: number, count = 1): void {
		for (const waiting of this.#waiting) if (holds(waiting, seq, count)) waiting.refused = true;
		if (seq > this.#written) this.#early.push({ seq, count });
	}

	/** Nothing is waited for any more. */
	close(): void {
		clearTimeout(this.#timer);
		for (const { batch } of this.#waiting.splice(0)) this.#o.done(batch, false);
	}

	#expire(): void {
		this.#timer = undefined;
		const now = performance.now();
		let count = 0;
		for (const { until } of this.#waiting) {
			if (until > now) break;
			count++;
		}
		const overdue = this.#waiting.splice(0, count);
		const last = overdue.at(-1)?.last ?? 0;
		if (last > 0) {
			const first = this.#owed === 0;
			this.#owed = Math.max(this.#owed, last);
			if (first) this.#o.late();
		}
		for (const { batch } of overdue) this.#o.done(batch, false);
		const [next] = this.#waiting;
		if (next !== undefined) this.#timer = setTimeout(() => this.#expire(), Math.max(1, next.until - now));
	}
}

/** Whether a batch may hold a refused record. Of several it is not said which: then no later one goes on either. */
const holds = (
	{ first, last }: { readonly first: number; readonly last: number },
	seq: number,
	count: number,
): boolean => last >= seq && (count > 1 || first <= seq);
