import type { FieldCredential, Secret } from '../../config/credential.ts';
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
	/** Gives up what is under way: nobody waits for it any more. */
	abandon?(): void;
}

/** A record that a sink refuses for good. */
export interface SetAside {
	readonly seq: number;
	/** So many of the records from `seq` on, where the sink does not say which; 1 when absent. */
	readonly count?: number;
	/** Why, in our words. */
	readonly answer: string;
	/** It is a record about such records itself: there is no other one about it. */
	readonly own: boolean;
}

export type SinkConfig = AuditConfig['sinks'][number];

/** What sinks behind a URL are given. */
export interface RemoteDeps {
	/** Sallyport's SVID as it is now, PEM; undefined while there is none. */
	svid(): { readonly cert: string; readonly key: string } | undefined;
	readonly credentials: {
		/** The header field that a credential comes to, asked for each time; undefined while it has no valid value. */
		field(credential: FieldCredential): () => { readonly name: string; readonly value: string } | undefined;
		/** Secrets as they are; undefined while one of them has no valid value. */
		texts(secrets: readonly Secret[]): () => readonly string[] | undefined;
	};
}

export interface SinkDeps extends RemoteDeps {
	/** The name of this Sallyport in records. */
	readonly instance: string;
	/** File descriptor of the standard output. */
	readonly stdout: number;
	/** Records that a sink refuses for good although it takes others: it is told them once, and gets what follows. */
	setAside(sink: string, records: readonly SetAside[]): void;
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
	/** How long records wait for others, milliseconds, unless so many compressed bytes of them wait. */
	readonly gather?: { readonly age: number; readonly bytes: number };
	/** Greatest number of bytes of records that it is given per second; any when absent. */
	readonly rate?: number;
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
	/** Records of this run that it refused for good. */
	readonly refused?: number;
	/** Why it does not take any. */
	readonly error?: string;
}
