import type { Refusal } from './cause.ts';

/** What a policy author wrote. `detail` stays in records; only `msg` and `code` reach the agent. */
export interface Reason {
	readonly msg: string;
	readonly code?: string;
	readonly detail?: unknown;
}

export interface BundleRevision {
	readonly name: string;
	readonly revision: string;
}

/** The result of a pure evaluation: the same for calls, `policy eval` and replay. */
export interface Verdict {
	readonly verdict: 'allow' | 'ask' | 'deny';
	/** Why; absent only when allowed. */
	readonly cause?: Refusal;
	readonly reasons: readonly Reason[];
	/** The text of the record's `result`. */
	readonly result: string;
	/** What went wrong, for the record and the log; never for the agent. */
	readonly error?: string;
	/** Time spent in WebAssembly, microseconds. */
	readonly micros: number;
	/** False when the evaluation did not complete (`policy_error`, `phase_undefined`): `observe` never waives that. */
	readonly completed: boolean;
}

/** What a bundle that is only tried would have said. */
export interface ShadowVerdict {
	readonly bundle: string;
	readonly revision: string;
	/** `undetermined`: it reads what nobody read for the policy in force. */
	readonly verdict: Verdict['verdict'] | 'undetermined';
	readonly cause?: Refusal;
	readonly error?: string;
}

/** A verdict after admission: what the agent is told and the record says. */
export interface Decision {
	/** UUIDv7: ordered by time, unguessable enough to be a handle for look-ups only. */
	readonly id: string;
	readonly allowed: boolean;
	readonly cause?: Refusal;
	readonly reasons: readonly Reason[];
	/** True when the verdict was turned into an allow by `mode: observe`. */
	readonly observed: boolean;
}
