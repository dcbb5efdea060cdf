import type { Identity } from './agent.ts';
import type { PolicyPath, Reads } from './call.ts';
import type { Cause, Refused } from './cause.ts';
import type { ControlRecord, DecisionRecord, OutcomeRecord, RefusedConnection } from './record.ts';
import type { BundleRevision, Verdict } from './verdict.ts';

/** What the policy bundles that apply to one agent say; immutable, valid for one revision of the set. */
export interface AgentPolicy {
	readonly bundles: readonly BundleRevision[];
	/** Union over the bundles that apply. */
	reads(path: PolicyPath): Reads;
	/** Whether any bundle that applies has this package. */
	defines(path: PolicyPath): boolean;
	/** Pure and synchronous. Never throws: a failure is the verdict `deny` with `policy_error`. */
	evaluate(path: PolicyPath, input: string): Verdict;
}

/** One activated set of policy bundles. A reload makes another one and swaps the reference. */
export interface PolicySet {
	/** Changes whenever any bundle's revision does. */
	readonly revision: string;
	readonly bundles: readonly BundleRevision[];
	/** Undefined when no bundle applies to the agent: `policy_missing`. Cached by the set, bounded. */
	forAgent(spiffeId: string): AgentPolicy | undefined;
	/** Bundles that are tried beside, each by itself: what they say is recorded, and does nothing else. */
	shadowsFor(spiffeId: string): readonly AgentPolicy[];
}

export interface PolicySource {
	/** Undefined until the first activation succeeded. */
	current(): PolicySet | undefined;
	/** Called after each swap, with what is now in force. */
	onChange(listener: (set: PolicySet) => void): () => void;
}

/** Appends to the chain. Calls of one turn of the event loop are written together. */
export interface Recorder {
	/**
	 * `written` runs once, after write(2) returned (after fsync with `durability: fsync`, after the sink took it with `commit`) or with the refusal
	 * `audit_unavailable`. Never synchronously.
	 */
	decision(record: DecisionRecord, written: (refusal?: Refused) => void): void;
	outcome(record: OutcomeRecord): void;
	refusedConnection(record: RefusedConnection): void;
	/**
	 * `written` as for decisions, for who must not act before the record is there; a record that is refused so is not
	 * written later either. Without it the record is kept while nothing can be written.
	 */
	control(record: ControlRecord, written?: (refusal?: Refused) => void): void;
}

/** The span that another one goes on from (W3C Trace Context §3.2.2). */
export interface TraceParent {
	/** 32 lower-case hexadecimal digits, not all zero. */
	readonly traceId: string;
	/** 16 of them. */
	readonly spanId: string;
	readonly sampled: boolean;
}

/** A call as a tracing system is told of it, when it ended. */
export interface TraceEnd {
	/** Absent when it ended before it was decided. */
	readonly decisionId: string | undefined;
	readonly verdict: 'allow' | 'ask' | 'deny';
	/** Why it was refused, or how it ended. */
	readonly cause: Cause;
	readonly agent: string;
	readonly listener: string;
	/** Name of the upstream, or HOST:PORT. */
	readonly target: string;
	readonly host: string;
	readonly port: number;
	readonly protocol: string;
	readonly operation: string;
	readonly status?: number | undefined;
}

/** The span of one call. */
export interface Trace {
	/** The field by which the upstream goes on with it (W3C Trace Context §3.2). */
	readonly traceparent: string;
	/** Once. */
	end(facts: TraceEnd): void;
}

/** Begins spans; there is none where traces are off. */
export interface Tracing {
	/** `parent` is what the agent's request goes on with. */
	begin(parent?: TraceParent): Trace;
}

/** By what somebody's access can have been ended: an {@link Identity}, or an id alone. */
export type Revocable = { readonly agent: { readonly id: string } } & Pick<Identity, 'serial' | 'token'>;

/** Whose access has been ended. A synchronous in-memory view. */
export interface Revocations {
	/** `revoked`, and by what of theirs, when their access was ended; undefined when it was not. */
	revoked(who: Revocable): Refused | undefined;
	/** Why no call of anybody's may be made: whose access was ended cannot be known now. */
	unknown(): Refused | undefined;
}

export interface StateEntry {
	readonly key: string;
	readonly value: string;
	/** From 1; no change of any entry ever has that of another. */
	readonly version: number;
}

export interface StateChange {
	readonly key: string;
	/** Undefined: the entry goes. */
	readonly value: string | undefined;
	/** The version that the entry must have, 0 when it must not be there; any when absent. */
	readonly expected?: number;
}

/** What survives a restart: texts by key, in spaces of one concern each. */
export interface State {
	/** All entries of a space. Rejects, in words, when they cannot be read. */
	list(space: string): Promise<readonly StateEntry[]>;
	/**
	 * All changes or none. What was written survives a loss of power once it resolves with true; false, and nothing is
	 * changed, when an entry has another version than was expected. Rejects, in words, when nothing can be written.
	 */
	write(space: string, changes: readonly StateChange[]): Promise<boolean>;
}

/** Milliseconds since the epoch; handed in so that tests can hold the clock. */
export interface Clock {
	now(): number;
}
