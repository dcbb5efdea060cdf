import type { AuditConfig } from '../config/schema.ts';
import { type Refused, refused } from '../model/cause.ts';
import { RECORD_TYPES, type RecordType } from '../model/record.ts';
import { Commits } from './commits.ts';
import type { AuditDeps } from './contract.ts';
import type { SpoolIo } from './io.ts';
import { OpenCalls } from './open-calls.ts';
import { Outage } from './outage.ts';
import { type Counts, type Failure, Spool } from './spool.ts';
import type { Start } from './start.ts';
import { Syncer } from './sync.ts';
import { Told, type Written } from './told.ts';
import { Turns } from './turns.ts';

export interface WriterOptions {
	readonly config: AuditConfig;
	readonly deps: AuditDeps;
	readonly start: Start;
	readonly io: SpoolIo;
	/** After each turn that was written or put on the disk itself, when everybody was told. */
	readonly afterWrite: () => void;
	/** Records are in the chain. */
	readonly written: () => void;
	/** What was written is in doubt: the segment must not be gone on with. */
	readonly doubted: () => void;
	/** A permitted call is refused after all, because its decision could not be put on the disk. */
	readonly withdrawn: (decisionId: string) => void;
}

/** Permitted calls that are remembered as open, so that a checkpoint can name them. */
const OPEN_REMEMBERED = 262_144;

const UNAVAILABLE = refused('audit_unavailable');

/** What one write holds beside the lines. */
interface Batch {
	/** Who waits for it. */
	readonly waiting: Written[];
	/** Calls that it opens, for when a sync fails or the sink does not take it. */
	readonly opened: string[];
	/** Of its last record. */
	seq: number;
}

const batch = (): Batch => ({ waiting: [], opened: [], seq: 0 });

/** Writes what one turn of the event loop records together, and lets those go on who wait for it. */
export class Writer {
	readonly spool: Spool;
	readonly outage: Outage;
	/** Permitted calls without an outcome. */
	readonly open = new OpenCalls(OPEN_REMEMBERED);
	readonly #o: WriterOptions;
	readonly #syncer: Syncer<Batch> | undefined;
	/** Undefined where the local write is enough. */
	readonly #commits: Commits<Batch> | undefined;
	readonly #told: Told;
	readonly #turns = new Turns(() => this.turn());
	#batch = batch();
	/** True while a turn is being written: those who wait are told at its end. */
	#writing = false;

	constructor(options: WriterOptions) {
		const { config, deps, start, io } = options;
		this.#o = options;
		const syncs = config.durability === 'fsync';
		const spool = new Spool({
			directory: config.directory,
			instance: deps.instance,
			head: start.head,
			segments: start.segments,
			limit: config.limit,
			io,
			syncs,
			written: (counts, failure) => this.#onWritten(counts, failure),
		});
		this.spool = spool;
		this.outage = new Outage(deps);
		this.#told = new Told(deps.log);
		if (syncs) {
			this.#syncer = new Syncer(
				done => spool.sync(done),
				(failure, batches) => this.#onSynced(failure, batches),
			);
		}
		if (config.commit !== undefined) {
			const { timeout } = config.commit;
			const done = (one: Batch, taken: boolean): void => {
				if (taken) this.#release(one, undefined);
				else this.#fail(one);
			};
			this.#commits = new Commits({ timeout, done, late: () => this.#onLate() }, spool.written.seq);
		}
	}

	/** What the sink says that calls wait for; undefined where none does. */
	get commits(): Pick<Commits<unknown>, 'taken' | 'refused' | 'late'> | undefined {
		return this.#commits;
	}

	/** Something was appended: it is written at the end of this turn of the event loop. */
	schedule(): void {
		this.#turns.schedule();
	}

	/** Somebody waits for what was appended last. `opens`: the call that it lets go. */
	waits(written: Written, opens?: string): void {
		this.#batch.waiting.push(written);
		if (opens !== undefined) {
			this.open.add(opens);
			if (this.#syncer !== undefined || this.#commits !== undefined) this.#batch.opened.push(opens);
		}
		this.#turns.schedule();
	}

	/** Somebody waits for what could not be appended: refused, or let go with `on_failure: continue`. */
	refuse(written: Written, refusal: Refused = UNAVAILABLE): void {
		this.#told.add([written], this.#orNot(refusal));
		this.#turns.schedule();
	}

	/** For records that must not be lost while writing fails: they are kept, within bounds, and written later. */
	put(type: RecordType, time: number, body: string): void {
		const { reason } = this.outage;
		if (reason !== undefined && reason !== 'limit' && reason !== 'sink') this.outage.keep({ type, time, body });
		else if (this.spool.append(type, time, body, 0, true)) {
			// Nobody waits for it: it goes out with the next decision, or a little later.
			if (type === 'outcome') this.#turns.later();
			else this.#turns.schedule();
		} else {
			this.outage.begin('limit');
			this.outage.keep({ type, time, body });
		}
	}

	/** Writes what waits, now. */
	turn(): void {
		this.#writing = true;
		this.spool.flush();
		this.#writing = false;
		this.#told.run();
		this.#o.afterWrite();
	}

	/** Resolves when no sync is under way. */
	async settled(): Promise<void> {
		await this.#syncer?.settled();
	}

	/** Forgets what was to be written later: `turn` is called instead. */
	stop(): void {
		this.#turns.stop();
	}

	/** Whoever waits still for a sink is refused. */
	end(): void {
		this.#commits?.close();
		this.#told.run();
	}

	#onWritten(counts: Counts, failure: Failure | undefined): void {
		const done = this.#batch;
		this.#batch = batch();
		if (failure === undefined) {
			for (const type of RECORD_TYPES) if (counts[type] > 0) this.#o.deps.metrics.written(type, counts[type]);
			this.#o.written();
			done.seq = this.spool.written.seq;
			if (this.#syncer !== undefined) this.#syncer.add(done);
			else this.#kept(done);
			return;
		}
		this.outage.begin(failure.code);
		for (const { record, keep, opens } of failure.lost) {
			if (opens !== undefined) this.open.delete(opens);
			if (keep) this.outage.keep(record);
			else if (record.type === 'control') this.outage.lose('control', 1);
		}
		this.outage.lose('decision', counts.decision);
		this.outage.lose('session', counts.session);
		this.#release(done, this.#orNot(UNAVAILABLE));
	}

	/** After an attempt to put written batches on the disk itself. */
	#onSynced(failure: string | undefined, batches: readonly Batch[]): void {
		if (failure !== undefined) {
			// The kernel may have dropped the pages.
			this.outage.begin(failure);
			this.#o.doubted();
		}
		for (const synced of batches) {
			if (failure === undefined) this.#kept(synced);
			else this.#fail(synced);
		}
		this.#told.run();
		this.#o.afterWrite();
	}

	/** A batch is in the chain: its calls go on, or wait for the sink. */
	#kept(done: Batch): void {
		const commits = this.#commits;
		const goesOn = commits?.late === true && this.#o.config.on_failure === 'continue';
		if (commits === undefined || done.waiting.length === 0 || goesOn) {
			commits?.pass(done.seq);
			this.#release(done, undefined);
		} else commits.add(done, done.seq);
	}

	/** The calls of a batch are refused although it is in the chain, or let go with `on_failure: continue`. */
	#fail(done: Batch): void {
		this.#release(done, this.#orNot(UNAVAILABLE));
		if (this.#o.config.on_failure === 'continue') return;
		for (const decisionId of done.opened) this.#o.withdrawn(decisionId);
	}

	#onLate(): void {
		if (this.#o.config.on_failure === 'deny') {
			this.outage.begin('sink');
			return;
		}
		this.#o.deps.metrics.failure('sink');
		this.#o.deps.log('error', 'the sink of audit.commit is too late: calls go on without it', {});
	}

	#orNot(refusal: Refused): Refused | undefined {
		return this.#o.config.on_failure === 'deny' ? refusal : undefined;
	}

	#release({ waiting }: Batch, refusal: Refused | undefined): void {
		if (waiting.length === 0) return;
		this.#told.add(waiting, refusal);
		if (!this.#writing) this.#turns.schedule();
	}
}
