import type { CallFacts, MaskedText, Phase } from './call.ts';
import type { Cause } from './cause.ts';
import type { Conn } from './conn.ts';
import type { Target } from './target.ts';
import type { BundleRevision, Decision, ShadowVerdict } from './verdict.ts';

export type RecordType = 'decision' | 'outcome' | 'session' | 'control' | 'checkpoint' | 'gap';

export const RECORD_TYPES: readonly RecordType[] = ['decision', 'outcome', 'session', 'control', 'checkpoint', 'gap'];

/** One decided call. `call` is written whatever policy reads. */
export interface DecisionRecord {
	readonly decision: Decision;
	/** Milliseconds since the epoch; equal to the input's `time`. */
	readonly time: number;
	readonly phase: Phase;
	readonly conn: Conn;
	readonly target: Target;
	readonly call: CallFacts;
	/** The input as policy got it; absent when the call ended before evaluation. */
	readonly input?: MaskedText;
	/** The text of `result`; absent when nothing was evaluated. */
	readonly result?: string;
	readonly error?: string;
	readonly bundles: readonly BundleRevision[];
	/** What bundles would have said that are tried beside; absent when there are none. */
	readonly shadow?: readonly ShadowVerdict[];
	/** Paths that policy reads; undefined when everything was built. */
	readonly reads?: readonly string[];
	readonly micros?: number;
	/** What the agent was told beside the cause. */
	readonly detail?: string;
}

/** How a permitted call ended. */
export interface OutcomeRecord {
	readonly decisionId: string;
	readonly cause: Cause;
	readonly durationMs: number;
	/** HTTP status, where there is one. */
	readonly status?: number;
	readonly bytesSent?: number;
	readonly bytesReceived?: number;
	readonly rows?: number;
	readonly attempts?: number;
	readonly error?: string;
}

/** A connection that was refused before anybody was identified: coalesced by listener, cause and detail. */
export interface RefusedConnection {
	readonly listener: string;
	readonly cause: Cause;
	/** Names the rule that was broken. From a closed set of texts where it can be, so that it coalesces. */
	readonly detail: string;
	/** Remote address, or empty for a Unix socket. */
	readonly remote: string;
	/** What the certificate claims, when there is one to read: never trusted. */
	readonly claimed?: string;
}

/** What an operator or Sallyport itself did: reload, activation of a policy, start, stop, retention. */
export interface ControlRecord {
	readonly action: string;
	/** `uid:1000`, a SPIFFE ID, or `sallyport`. */
	readonly operator: string;
	readonly detail?: Readonly<Record<string, unknown>>;
}
