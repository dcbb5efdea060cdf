import type { AuditConfig } from '../../config/schema.ts';
import type { Segment } from '../segment.ts';

/** Some records on their way to a sink: whole lines, each with its line feed, in the order of the chain. */
export interface Delivery {
	readonly lines: Buffer;
	readonly count: number;
	/** Of the last record. */
	readonly seq: number;
}

/**
 * Where records are streamed. Deliveries come one at a time. A sink takes all of one or rejects; what it rejected comes
 * again, so that everything arrives at least once, and in order.
 */
export interface Sink {
	/** Resolves when the records are handed over. Keeps nothing of `lines` after that. */
	deliver(delivery: Delivery): Promise<void>;
	close(): Promise<void>;
}

export type SinkConfig = AuditConfig['sinks'][number];

export interface SinkDeps {
	/** File descriptor of the standard output. */
	readonly stdout: number;
}

/** One kind of sink; the registry lists them. */
export interface SinkKind {
	readonly name: string;
	/** Undefined when the configuration is of another kind. Opens nothing yet: a sink that cannot be reached is retried. */
	make(config: SinkConfig, deps: SinkDeps): SinkMade | undefined;
}

export interface SinkMade {
	/** Under which its position is kept; two sinks of one configuration must differ in it. */
	readonly key: string;
	/** Record types that it wants, all when undefined. Checkpoints go to every sink. */
	readonly types: readonly string[] | undefined;
	readonly sink: Sink;
}

/** Where feeds read: the spool's segments, in order; `bytes` of a segment grows as records are written. */
export interface Source {
	readonly directory: string;
	readonly segments: () => readonly Segment[];
}

export interface SinkStatus {
	readonly sink: string;
	/** Of the last record that it took in this run. */
	readonly seq?: number;
	/** Bytes of records that it has not taken. */
	readonly behind: number;
	/** Why it does not take any. */
	readonly error?: string;
}
