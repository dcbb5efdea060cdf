import type { Clock, Recorder } from '../model/ports.ts';
import type { RecordType } from '../model/record.ts';
import type { SigningKey } from './checkpoint.ts';
import type { SpoolIo } from './io.ts';
import type { RemoteDeps, SinkStatus } from './sinks/sink.ts';

/** What metrics are told. Every function is cheap and throws nothing. */
export interface AuditMetrics {
	/** Records that went into the chain. */
	written(type: RecordType, count: number): void;
	/** Records that could not go into the chain. */
	lost(type: RecordType, count: number): void;
	/** Records began to be unwritable; `reason` is `limit` or an error code such as `ENOSPC`. */
	failure(reason: string): void;
	/** Milliseconds since the epoch of the oldest record that a sink has not taken; undefined when it has all. */
	oldestUnsent(sink: string, time: number | undefined): void;
	/** Records that a sink refuses for good. */
	refused(sink: string, count: number): void;
}

export type AuditLog = (
	level: 'info' | 'warn' | 'error',
	message: string,
	fields?: Readonly<Record<string, unknown>>,
) => void;

export interface AuditDeps extends RemoteDeps {
	readonly labels: Readonly<Record<string, string>>;
	/** The name of this Sallyport in records. */
	readonly instance: string;
	/** What signs checkpoints right now: the SVID's key, which rotates. Not asked when `audit.key` is set. */
	readonly signer: () => SigningKey | undefined;
	readonly clock: Clock;
	readonly metrics: AuditMetrics;
	readonly log: AuditLog;
	/** File descriptor of the `stdout` sink; 1 when absent. */
	readonly stdout?: number;
	/** The system calls of the spool; the real ones when absent. */
	readonly io?: SpoolIo;
}

export interface AuditStatus {
	readonly directory: string;
	readonly chain: string;
	/** Of the last record on disk. */
	readonly seq: number;
	readonly hash: string;
	readonly bytes: number;
	readonly limit: number;
	readonly segments: number;
	/** No record that is still here is older; milliseconds since the epoch. */
	readonly oldest: number;
	/** Why records cannot be written, and since when (milliseconds since the epoch). */
	readonly unwritable?: { readonly reason: string; readonly since: number };
	/** Records of this run that are in no chain, by type. */
	readonly lost: Readonly<Partial<Record<RecordType, number>>>;
	/** Permitted calls without an outcome yet. */
	readonly open: number;
	/** Decisions of runs before whose outcome was written as `unknown` at this start. */
	readonly unknown: number;
	readonly checkpoint?: { readonly seq: number; readonly time: number };
	/** Agents that are refused because their records have taken their share; `agent` is undefined for several. */
	readonly overdrawn: readonly {
		readonly agent: string | undefined;
		readonly since: number;
		readonly refused: number;
	}[];
	readonly sinks: readonly SinkStatus[];
}

export interface Audit extends Recorder {
	/** Why records cannot be written right now; undefined when they can. For readiness. */
	readonly unwritable: string | undefined;
	status(): AuditStatus;
	/** Resolves when everything recorded so far is in the chain (on disk with `durability: fsync`), or cannot be. */
	flush(): Promise<void>;
	/** Ends the segment with a checkpoint; the next record begins another. */
	rotate(): void;
	/** What is due by the clock: checkpoints, ages, summaries, retention, recovery. Runs by itself once a second. */
	maintain(): Promise<void>;
	/** Last checkpoint, the sinks' rest (within `patience` milliseconds), and the lock. */
	close(patience?: number): Promise<void>;
}
