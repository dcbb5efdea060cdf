import type { AuditConfig } from '../config/schema.ts';
import { type Refused, refused } from '../model/cause.ts';
import type { ControlRecord, DecisionRecord, OutcomeRecord, RecordType, RefusedConnection } from '../model/record.ts';
import type { Audit, AuditDeps, AuditStatus } from './contract.ts';
import type { Lines } from './line.ts';
import type { Lock } from './lock.ts';
import { type Kept, Outage } from './outage.ts';
import { type RefusalSummary, Refusals } from './refusals.ts';
import type { Feed } from './sinks/feed.ts';
import type { Source } from './sinks/sink.ts';
import { codeOf, Spool, type SpoolIo } from './spool.ts';
import type { Start } from './start.ts';
import { Syncer } from './sync.ts';
import { Told, type Written } from './told.ts';
import { Upkeep } from './upkeep.ts';

export interface RecorderOptions {
	readonly config: AuditConfig;
	readonly deps: AuditDeps;
	readonly lines: Lines;
	readonly start: Start;
	readonly io: SpoolIo;
	readonly lock: Lock;
}

const UNAVAILABLE = refused('audit_unavailable');

/** Decisions that are remembered as open, so that a checkpoint can name them. */
const OPEN_REMEMBERED = 262_144;
/** How long an outcome waits for a decision to be written with, milliseconds. */
const OUTCOMES_WAIT = 5;

/**
 * The share of `limit` that decisions leave to the outcomes of calls that were let go already, to checkpoints and to
 * control records.
 */
export const reserveOf = (limit: number): number => Math.min(4 * 1024 * 1024, Math.floor(limit / 16));

/** Refusals before identification stop here, so that they never take the room of calls. */
const refusalReserveOf = (limit: number): number => Math.ceil(limit / 10);

/** What one write holds beside the lines. */
interface Batch {
	/** Who waits for it; and the ids of those, for when a sync fails. */
	readonly waiting: Written[];
	/** Calls that it opens. */
	readonly opened: string[];
	/** What must not be lost when it fails. */
	readonly kept: Kept[];
}

const batch = (): Batch => ({ waiting: [], opened: [], kept: [] });

/** The Recorder: groups what one turn of the event loop records, and lets those go on who wait for it. */
export class ChainRecorder implements Audit {
	readonly source: Source;
	readonly #config: AuditConfig;
	readonly #deps: AuditDeps;
	readonly #lines: Lines;
	readonly #lock: Lock;
	readonly #start: Start;
	readonly #spool: Spool;
	readonly #outage: Outage;
	readonly #refusals: Refusals;
	readonly #upkeep: Upkeep;
	readonly #syncer: Syncer<Batch> | undefined;
	readonly #open = new Set<string>();
	readonly #reserve: number;
	readonly #refusalReserve: number;
	#feeds: readonly Feed[] = [];
	#batch = batch();
	readonly #told: Told;
	#scheduled = false;
	#later: NodeJS.Timeout | undefined;
	#timer: NodeJS.Timeout | undefined;
	#dropped = 0;
	#closing: Promise<void> | undefined;

	constructor(options: RecorderOptions) {
		const { config, deps, lines, start } = options;
		this.#config = config;
		this.#deps = deps;
		this.#lines = lines;
		this.#lock = options.lock;
		this.#start = start;
		this.#reserve = reserveOf(config.limit);
		this.#refusalReserve = refusalReserveOf(config.limit);
		this.#spool = new Spool({
			directory: config.directory,
			instance: deps.instance,
			head: start.head,
			segments: start.segments,
			limit: config.limit,
			io: options.io,
			syncs: config.durability === 'fsync',
			written: (failure, counts) => this.#onWritten(failure, counts),
		});
		const spool = this.#spool;
		this.source = { directory: config.directory, segments: () => spool.segments };
		this.#outage = new Outage(deps);
		this.#told = new Told(deps.log);
		this.#refusals = new Refusals(summary => this.#refusal(summary));
		if (config.durability === 'fsync') {
			this.#syncer = new Syncer(
				done => spool.sync(done),
				(failure, batches) => this.#onSynced(failure, batches),
			);
		}
		this.#upkeep = new Upkeep({
			config,
			deps,
			lines,
			spool,
			outage: this.#outage,
			open: this.#open,
			reserve: this.#reserve,
			put: (type, time, body) => this.#put(type, time, body),
			acknowledged: segment => this.#feeds.every(feed => feed.isPast(segment)),
		});
	}

	/** Writes down what the start found, then runs. */
	begin(feeds: readonly Feed[]): void {
		this.#feeds = feeds;
		const { fresh, damage, open } = this.#start;
		const now = this.#deps.clock.now();
		if (fresh) {
			const detail = { format: 1, hash: 'sha256' };
			this.#put('control', now, this.#lines.control({ action: 'chain', operator: 'sallyport', detail }));
		}
		for (const found of damage) {
			this.#deps.log('warn', `the end of the audit chain was ${found.reason}`, { ...found });
			this.#put('gap', now, this.#lines.gap({ ...found }));
		}
		for (const id of open) this.#put('outcome', now, this.#lines.unknown(id));
		if (open.size > 0) this.#deps.log('warn', 'calls of an earlier run have no outcome', { calls: open.size });
		this.#turn();
		const failed = (error: unknown): void => this.#deps.log('error', 'audit upkeep failed', { error: codeOf(error) });
		this.#timer = setInterval(() => void this.maintain().catch(failed), 1000);
		this.#timer.unref();
	}

	get unwritable(): string | undefined {
		return this.#outage.reason;
	}

	decision(record: DecisionRecord, written: Written): void {
		const { id, allowed } = record.decision;
		if (!this.#appended(record)) {
			this.#outage.lose('decision', 1);
			this.#told.add(written, this.#refusalOrNot());
			this.#schedule();
			return;
		}
		this.#batch.waiting.push(written);
		if (allowed && record.phase !== 'response' && this.#open.size < OPEN_REMEMBERED) {
			this.#open.add(id);
			this.#batch.opened.push(id);
		}
		this.#schedule();
	}

	outcome(record: OutcomeRecord): void {
		this.#open.delete(record.decisionId);
		this.#put('outcome', this.#deps.clock.now(), this.#lines.outcome(record));
	}

	control(record: ControlRecord): void {
		let body: string;
		try {
			body = this.#lines.control(record);
		} catch (error) {
			body = this.#lines.control({ ...record, detail: { unreadable: codeOf(error) } });
		}
		this.#put('control', this.#deps.clock.now(), body);
	}

	refusedConnection(record: RefusedConnection): void {
		this.#refusals.add(record, this.#deps.clock.now());
	}

	status(): AuditStatus {
		const { chain, seq, hash } = this.#spool.written;
		const { reason, since } = this.#outage;
		const { checkpoint } = this.#upkeep;
		return {
			directory: this.#config.directory,
			chain,
			seq,
			hash,
			bytes: this.#spool.bytes,
			limit: this.#config.limit,
			segments: this.#spool.segments.length,
			// The begin of a segment of an earlier run is known by its end only.
			oldest: (this.#spool.segments[0]?.begun ?? this.#deps.clock.now()) - this.#config.segment.age,
			...(reason === undefined ? {} : { unwritable: { reason, since } }),
			lost: this.#outage.total(),
			open: this.#open.size,
			unknown: this.#start.open.size,
			...(checkpoint === undefined ? {} : { checkpoint }),
			sinks: this.#feeds.map(feed => feed.status()),
		};
	}

	async flush(): Promise<void> {
		this.#turn();
		await this.#syncer?.settled();
	}

	rotate(): void {
		this.#upkeep.rotate();
		this.#turn();
	}

	async maintain(): Promise<void> {
		if (this.#closing !== undefined) return;
		const now = this.#deps.clock.now();
		this.#refusals.tick(now);
		this.#upkeep.tick(now);
		this.#turn();
		await this.#upkeep.expire(now);
	}

	close(patience = 5000): Promise<void> {
		this.#closing ??= this.#close(patience);
		return this.#closing;
	}

	async #close(patience: number): Promise<void> {
		clearInterval(this.#timer);
		clearTimeout(this.#later);
		const now = this.#deps.clock.now();
		this.#refusals.tick(now, true);
		this.#upkeep.last(now);
		await this.flush();
		this.#outage.begin('closed');
		for (const feed of this.#feeds) feed.wake();
		await Promise.all(this.#feeds.map(feed => feed.close(patience)));
		await this.#upkeep.idle();
		this.#spool.close();
		this.#lock.release();
	}

	/** For records that must not be lost while writing fails: they are kept, within bounds, and written later. */
	#put(type: RecordType, time: number, body: string): void {
		const kept = { type, time, body };
		const { reason } = this.#outage;
		if (reason !== undefined && reason !== 'limit') this.#outage.keep(kept);
		else if (this.#spool.append(type, time, body)) {
			this.#batch.kept.push(kept);
			// Nobody waits for it: it goes out with the next decision, or a little later.
			if (type === 'outcome') this.#soon();
			else this.#schedule();
		} else {
			this.#outage.begin('limit');
			this.#outage.keep(kept);
		}
	}

	#refusal(summary: RefusalSummary): void {
		const body = this.#lines.refusals({ ...summary, ...(this.#dropped === 0 ? {} : { dropped: this.#dropped }) });
		const open = this.#outage.reason === undefined;
		if (open && this.#spool.append('session', this.#deps.clock.now(), body, this.#refusalReserve)) {
			this.#dropped = 0;
			this.#schedule();
		} else {
			this.#dropped += summary.count;
			this.#outage.lose('session', 1);
		}
	}

	#appended(record: DecisionRecord): boolean {
		if (this.#outage.reason !== undefined) return false;
		try {
			if (this.#spool.append('decision', record.time, this.#lines.decision(record), this.#reserve)) return true;
			this.#outage.begin('limit');
		} catch (error) {
			const fields = { decision_id: record.decision.id, error: codeOf(error) };
			this.#deps.log('error', 'a decision could not be put into words', fields);
		}
		return false;
	}

	#refusalOrNot(): Refused | undefined {
		return this.#config.on_failure === 'deny' ? UNAVAILABLE : undefined;
	}

	#schedule(): void {
		if (this.#scheduled) return;
		this.#scheduled = true;
		setImmediate(this.#immediate);
	}

	#soon(): void {
		if (this.#scheduled || this.#later !== undefined) return;
		this.#later = setTimeout(this.#due, OUTCOMES_WAIT);
	}

	readonly #due = (): void => {
		this.#later = undefined;
		if (!this.#scheduled) this.#turn();
	};

	readonly #immediate = (): void => {
		this.#scheduled = false;
		this.#turn();
	};

	#turn(): void {
		this.#spool.flush();
		this.#told.run();
		this.#upkeep.afterWrite();
	}

	#onWritten(failure: string | undefined, counts: ReadonlyMap<RecordType, number>): void {
		const written = this.#batch;
		this.#batch = batch();
		if (failure === undefined) {
			for (const [type, count] of counts) this.#deps.metrics.written(type, count);
			for (const feed of this.#feeds) feed.wake();
			if (this.#syncer !== undefined) this.#syncer.add(written);
			else this.#release(written, undefined);
			return;
		}
		this.#outage.begin(failure);
		for (const id of written.opened) this.#open.delete(id);
		for (const kept of written.kept) this.#outage.keep(kept);
		this.#outage.lose('decision', counts.get('decision') ?? 0);
		this.#outage.lose('session', counts.get('session') ?? 0);
		this.#release(written, this.#refusalOrNot());
	}

	/** After an attempt to put written batches on the disk itself. */
	#onSynced(failure: string | undefined, batches: readonly Batch[]): void {
		if (failure !== undefined) {
			// The kernel may have dropped the pages: what was written is in doubt, and the segment is not trusted further.
			this.#outage.begin(failure);
			this.#upkeep.abandon();
		}
		for (const synced of batches) {
			this.#release(synced, failure === undefined ? undefined : this.#refusalOrNot());
			if (failure === undefined || this.#config.on_failure === 'continue') continue;
			for (const decisionId of synced.opened) this.outcome({ decisionId, cause: 'audit_unavailable', durationMs: 0 });
		}
		this.#told.run();
		this.#upkeep.afterWrite();
	}

	#release(done: Batch, refusal: Refused | undefined): void {
		for (const written of done.waiting) this.#told.add(written, refusal);
		if (done.waiting.length > 0) this.#schedule();
	}
}
