import type { AuditConfig } from '../config/schema.ts';
import { type Refused, refused } from '../model/cause.ts';
import type { ControlRecord, DecisionRecord, OutcomeRecord, RefusedConnection } from '../model/record.ts';
import type { Audit, AuditDeps, AuditStatus } from './contract.ts';
import { codeOf, type SpoolIo } from './io.ts';
import type { Lines } from './line.ts';
import type { Lock } from './lock.ts';
import type { Outage } from './outage.ts';
import { OUTCOME_BYTES } from './shares.ts';
import type { Feed } from './sinks/feed.ts';
import type { SetAside, Source } from './sinks/sink.ts';
import type { Spool } from './spool.ts';
import type { Start } from './start.ts';
import { Sums } from './sums.ts';
import type { Written } from './told.ts';
import { Upkeep } from './upkeep.ts';
import { Writer } from './writer.ts';

export interface RecorderOptions {
	readonly config: AuditConfig;
	readonly deps: AuditDeps;
	readonly lines: Lines;
	readonly start: Start;
	readonly io: SpoolIo;
	readonly lock: Lock;
}

const SHARE_TAKEN = refused('audit_unavailable', 'the records of this agent have taken their share of the room');

/** Records that a sink refused, as far as one record about them names them. */
const SET_ASIDE_NAMED = 100;

/** Agents that have no room, as far as the status names them. */
const OVERDRAWN_NAMED = 16;

/**
 * The share of `limit` that decisions leave to the outcomes of calls that were let go already, to checkpoints and to
 * control records.
 */
export const reserveOf = (limit: number): number => Math.min(4 * 1024 * 1024, Math.floor(limit / 16));

const countOf = (records: readonly SetAside[]): number => records.reduce((sum, { count = 1 }) => sum + count, 0);

/** The Recorder: puts into words what happens, and has it written. */
export class ChainRecorder implements Audit {
	readonly source: Source;
	readonly #config: AuditConfig;
	readonly #deps: AuditDeps;
	readonly #lines: Lines;
	readonly #lock: Lock;
	readonly #start: Start;
	readonly #writer: Writer;
	readonly #spool: Spool;
	readonly #outage: Outage;
	readonly #sums: Sums;
	readonly #upkeep: Upkeep;
	readonly #reserve: number;
	#feeds: readonly Feed[] = [];
	#committing: Feed | undefined;
	#timer: NodeJS.Timeout | undefined;
	#closing: Promise<void> | undefined;

	constructor(options: RecorderOptions) {
		const { config, deps, lines, start, io } = options;
		this.#config = config;
		this.#deps = deps;
		this.#lines = lines;
		this.#lock = options.lock;
		this.#start = start;
		const reserve = reserveOf(config.limit);
		this.#reserve = reserve;
		const writer = new Writer({
			config,
			deps,
			start,
			io,
			afterWrite: () => this.#upkeep.afterWrite(),
			written: () => {
				for (const feed of this.#feeds) feed.wake();
			},
			doubted: () => this.#upkeep.abandon(),
			withdrawn: decisionId => this.outcome({ decisionId, cause: 'audit_unavailable', durationMs: 0 }),
		});
		const { spool, outage } = writer;
		this.#writer = writer;
		this.#spool = spool;
		this.#outage = outage;
		this.source = { directory: config.directory, segments: () => spool.segments };
		this.#sums = new Sums({ config, deps, lines, spool, outage, reserve, appended: () => writer.schedule() });
		this.#upkeep = new Upkeep({
			config,
			deps,
			lines,
			spool,
			outage,
			open: writer.open,
			reserve,
			put: (type, time, body) => writer.put(type, time, body),
			acknowledged: segment => this.#feeds.every(feed => feed.isPast(segment)),
			late: () => writer.commits?.late ?? false,
			freed: () => this.#sums.shares.restart(deps.clock.now()),
		});
	}

	/** Writes down what the start found, then runs. `committing`: the one that calls wait for. */
	begin(feeds: readonly Feed[], committing: Feed | undefined): void {
		this.#feeds = feeds;
		this.#committing = committing;
		const { fresh, damage, open } = this.#start;
		const now = this.#deps.clock.now();
		if (fresh) {
			const detail = { format: 1, hash: 'sha256' };
			this.#writer.put('control', now, this.#lines.control({ action: 'chain', operator: 'sallyport', detail }));
		}
		for (const found of damage) {
			this.#deps.log('warn', `the end of the audit chain was ${found.reason}`, { ...found });
			this.#writer.put('gap', now, this.#lines.gap({ ...found }));
		}
		for (const id of open) this.#writer.put('outcome', now, this.#lines.unknown(id));
		if (open.size > 0) this.#deps.log('warn', 'calls of an earlier run have no outcome', { calls: open.size });
		this.#writer.turn();
		const failed = (error: unknown): void => this.#deps.log('error', 'audit upkeep failed', { error: codeOf(error) });
		this.#timer = setInterval(() => void this.maintain().catch(failed), 1000);
		this.#timer.unref();
	}

	get unwritable(): string | undefined {
		return this.#outage.reason;
	}

	decision(record: DecisionRecord, written: Written): void {
		const { id, allowed } = record.decision;
		const refusal = this.#append(record);
		if (refusal !== undefined) this.#writer.refuse(written, refusal);
		else this.#writer.waits(written, allowed && record.phase !== 'response' ? id : undefined);
	}

	outcome(record: OutcomeRecord): void {
		this.#writer.open.delete(record.decisionId);
		this.#writer.put('outcome', this.#deps.clock.now(), this.#lines.outcome(record));
	}

	control(record: ControlRecord, written?: Written): void {
		let body: string;
		try {
			body = this.#lines.control(record);
		} catch (error) {
			body = this.#lines.control({ ...record, detail: { unreadable: codeOf(error) } });
		}
		const time = this.#deps.clock.now();
		if (written === undefined) this.#writer.put('control', time, body);
		else this.#awaited(time, body, written);
	}

	/** A control record that somebody waits for: refused like a decision, and then not written later, as nothing was done. */
	#awaited(time: number, body: string, written: Written): void {
		const keep = this.#config.on_failure === 'continue';
		if (this.#outage.reason === undefined && this.#spool.append('control', time, body, this.#reserve, keep)) {
			this.#writer.waits(written);
			return;
		}
		this.#outage.begin('limit');
		if (keep) this.#outage.keep({ type: 'control', time, body });
		else this.#outage.lose('control', 1);
		this.#writer.refuse(written);
	}

	/** A sink refuses records for good: said once in the chain, where they stay. */
	setAside(sink: string, records: readonly SetAside[]): void {
		const all = countOf(records);
		this.#feeds.find(({ key }) => key === sink)?.refused(all);
		this.#deps.metrics.refused(sink, all);
		const [first] = records;
		this.#deps.log('error', 'an audit sink refuses records for good', {
			sink,
			records: all,
			first: first?.seq,
			answer: first?.answer,
		});
		if (sink === this.#committing?.key) for (const { seq, count } of records) this.#writer.commits?.refused(seq, count);
		const told = records.filter(({ own }) => !own);
		if (told.length === 0) return;
		const seqs = told.slice(0, SET_ASIDE_NAMED).map(({ seq }) => seq);
		const detail = { sink, count: countOf(told), seqs, answer: told[0]?.answer };
		this.control({ action: 'sink_refused', operator: 'sallyport', detail });
	}

	/** The sink that calls wait for has every record up to this one. */
	committed(seq: number): void {
		this.#writer.commits?.taken(seq);
	}

	refusedConnection(record: RefusedConnection): void {
		this.#sums.refusedConnection(record);
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
			open: this.#writer.open.size,
			unknown: this.#start.open.size,
			...(checkpoint === undefined ? {} : { checkpoint }),
			overdrawn: this.#sums.shares.overdrawn().slice(0, OVERDRAWN_NAMED),
			sinks: this.#feeds.map(feed => feed.status()),
		};
	}

	async flush(): Promise<void> {
		this.#writer.turn();
		await this.#writer.settled();
	}

	rotate(): void {
		this.#upkeep.rotate();
		this.#writer.turn();
	}

	async maintain(): Promise<void> {
		if (this.#closing !== undefined) return;
		const now = this.#deps.clock.now();
		this.#sums.tick(now);
		this.#upkeep.tick(now);
		this.#writer.turn();
		await this.#upkeep.expire(now);
	}

	close(patience = 5000): Promise<void> {
		this.#closing ??= this.#close(patience);
		return this.#closing;
	}

	async #close(patience: number): Promise<void> {
		clearInterval(this.#timer);
		this.#writer.stop();
		const now = this.#deps.clock.now();
		this.#sums.tick(now, true);
		this.#upkeep.last(now);
		await this.flush();
		this.#outage.begin('closed');
		for (const feed of this.#feeds) feed.wake();
		await Promise.all(this.#feeds.map(feed => feed.close(patience)));
		this.#writer.end();
		await this.#upkeep.idle();
		this.#spool.close();
		this.#lock.release();
	}

	/** Undefined when the record will be in the next write. */
	#append(record: DecisionRecord): Refused | undefined {
		if (this.#outage.reason === undefined) {
			const before = this.#spool.bytes;
			const account = this.#sums.shares.account(record.conn.identity.agent.id, before);
			if (account !== undefined && !this.#sums.shares.admits(account, before)) {
				this.#outage.count('decision', 1);
				this.#sums.shares.refuse(account, record.time);
				return SHARE_TAKEN;
			}
			try {
				if (this.#spool.append('decision', record.time, this.#lines.decision(record), this.#reserve)) {
					if (account !== undefined) {
						const outcome = record.decision.allowed ? OUTCOME_BYTES : 0;
						account.bytes += Math.max(0, this.#spool.bytes - before) + outcome;
					}
					return undefined;
				}
				this.#outage.begin('limit');
			} catch (error) {
				const fields = { decision_id: record.decision.id, error: codeOf(error) };
				this.#deps.log('error', 'a decision could not be put into words', fields);
			}
		}
		this.#outage.lose('decision', 1);
		return refused('audit_unavailable');
	}
}
