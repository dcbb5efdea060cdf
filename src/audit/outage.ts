import type { RecordType } from '../model/record.ts';
import type { AuditDeps } from './contract.ts';

/** A record that waits for writing to work again. `body` is as the spool takes it. */
export interface Kept {
	readonly type: RecordType;
	readonly time: number;
	readonly body: string;
}

/** Outcomes and control records that are kept while nothing can be written. */
const KEPT_RECORDS = 16_384;

export type Losses = Readonly<Partial<Record<RecordType, number>>>;

/** The time in which records cannot be written: why, since when, what is lost by it and what is kept. */
export class Outage {
	readonly #deps: AuditDeps;
	readonly #now = new Map<RecordType, number>();
	readonly #all = new Map<RecordType, number>();
	#kept: Kept[] = [];
	#reason: string | undefined;
	#since = 0;
	#attempt: ReadonlyMap<RecordType, number> | undefined;

	constructor(deps: AuditDeps) {
		this.#deps = deps;
	}

	/** `limit`, `closed`, or an error code such as `ENOSPC`; undefined while records can be written. */
	get reason(): string | undefined {
		return this.#reason;
	}

	get since(): number {
		return this.#since;
	}

	begin(reason: string): void {
		if (this.#reason !== undefined) return;
		this.#reason = reason;
		const attempt = this.#attempt;
		if (attempt !== undefined) {
			// It never ended: nothing new to tell.
			this.#attempt = undefined;
			for (const [type, count] of attempt) this.#now.set(type, (this.#now.get(type) ?? 0) + count);
			return;
		}
		this.#since = this.#deps.clock.now();
		if (reason === 'closed') return;
		this.#deps.metrics.failure(reason);
		this.#deps.log('error', 'records cannot be written', { reason });
	}

	/** Lets records through again to see whether they can be written. What was lost until now, for the record about it. */
	attempt(): Losses {
		this.#reason = undefined;
		this.#attempt = new Map(this.#now);
		this.#now.clear();
		return Object.fromEntries(this.#attempt);
	}

	/** Whether the attempt did not fail: then the outage is over. */
	succeeded(): boolean {
		if (this.#attempt === undefined) return false;
		this.#attempt = undefined;
		this.#deps.log('info', 'records can be written again');
		return true;
	}

	lose(type: RecordType, count: number): void {
		if (count === 0) return;
		this.#now.set(type, (this.#now.get(type) ?? 0) + count);
		this.count(type, count);
	}

	/** Records that are in no chain for another reason, which a record of their own tells. */
	count(type: RecordType, count: number): void {
		this.#all.set(type, (this.#all.get(type) ?? 0) + count);
		this.#deps.metrics.lost(type, count);
	}

	keep(record: Kept): void {
		if (this.#kept.length < KEPT_RECORDS && this.#reason !== 'closed') this.#kept.push(record);
		else this.lose(record.type, 1);
	}

	takeKept(): readonly Kept[] {
		const kept = this.#kept;
		this.#kept = [];
		return kept;
	}

	/** Of the whole run. */
	total(): Losses {
		return Object.fromEntries(this.#all);
	}
}
