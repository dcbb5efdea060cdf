import type { Svid } from '../svid.ts';
import type { Broken, JwtAuthorities, TrustBundle } from '../trust.ts';

/** What a source of Sallyport's identity holds right now: swapped as a whole. */
export interface SourceState {
	/** With the trust bundle of its own domain only. */
	readonly svid: Svid | undefined;
	/** Why there is no SVID, in one of a few sentences that agents may read. */
	readonly missing?: string;
	/** Bundles of other domains that came with the SVID. */
	readonly federated: readonly TrustBundle[];
}

/** How a source is. Times are milliseconds since the epoch. */
export interface SourceStatus {
	readonly kind: 'files' | 'workload_api';
	/** Path of the certificate, or the socket. */
	readonly from: string;
	/** Whether the stream of SVIDs is open; only where there is one. */
	readonly connected?: boolean;
	/** Since when it is, or is not. */
	readonly since?: number;
	/** Why the stream is not open, in the other side's words too: for operators. */
	readonly problem?: string;
	/** CRLs that came and are not evaluated. */
	readonly crls?: number;
	/** Trust domains whose bundle could not be read, and why; the last good one of each is in force. */
	readonly federated?: ReadonlyMap<string, string>;
	/** Why there are no keys for JWT-SVIDs, where they come from a stream of their own. */
	readonly jwtProblem?: string;
}

/** A JWT-SVID of Sallyport's own. */
export interface JwtSvid {
	/** Compact serialization; a secret. */
	readonly token: string;
	/** Milliseconds since the epoch. */
	readonly expires: number;
}

/** Where Sallyport's SVID comes from. */
export interface SvidSource {
	/** Rejects when there can be no identity from here at all. */
	start(): Promise<void>;
	state(): SourceState;
	status(): SourceStatus;
	/** Keys by which JWT-SVIDs of the domain are judged, as far as this source knows; undefined when it does not. */
	jwtAuthorities(trustDomain: string): JwtAuthorities | undefined;
	/** A JWT-SVID for one audience. */
	jwtSvid(audience: string): Promise<JwtSvid | Broken>;
	/** Looks again, now; resolves with what is wrong. */
	reload(): Promise<Broken | undefined>;
	close(): void;
}

/**
 * Told after every look at the source: `broken` when what it found was not taken. Resolves to what a listener of the
 * identity could not take.
 */
export type SourceNews = (broken: string | undefined) => Broken | undefined;
