import type { PolicySet } from '../model/ports.ts';
import type { Problem } from './problem.ts';
import type { RemoteNews, RemoteStatus } from './remote/remote.ts';

/** What is said of the bundles, and to whom. */

export interface BundleStatus {
	readonly name: string;
	readonly revision: string;
	/** Files, archive or URL that it was made from. */
	readonly from: readonly string[];
	/** Milliseconds since the epoch. */
	readonly activated: number;
	/** Bytes of WebAssembly memory. */
	readonly memory: number;
	/** It is only tried. */
	readonly shadow?: true;
}

export interface PolicyStatus {
	/** Undefined until a set was activated. */
	readonly revision?: string;
	readonly bundles: readonly BundleStatus[];
	/** Of those that come from servers, in force or not. */
	readonly downloads: readonly RemoteStatus[];
	/** Milliseconds since the epoch. */
	/** What is wrong with bundles that are only tried; nothing waits for them. */
	readonly untried: readonly Problem[];
	readonly lastSuccess?: number;
	readonly lastAttempt?: number;
	/** Why the last attempt failed; absent when it succeeded. What was in force before is still. */
	readonly problems?: readonly Problem[];
}

/** Told of what happens, for records, metrics and the log. */
export interface PolicyEvents {
	/** After each swap; `took` in milliseconds. */
	activated?(set: PolicySet, status: PolicyStatus, took: number): void;
	/** What was found is in force already; an earlier failure is mended. */
	confirmed?(status: PolicyStatus): void;
	/** Of a bundle from a server. */
	download?(news: RemoteNews): void;
	/** The old set stays in force. */
	failed?(problems: readonly Problem[], status: PolicyStatus): void;
}
