/** A parsed SPIFFE ID (SPIFFE-ID.md §2). `segments` and `prefixes` are what policy gets for look-ups. */
export interface SpiffeId {
	/** The whole URI, `spiffe://trust.domain/path`. */
	readonly id: string;
	readonly trustDomain: string;
	/** Begins with `/`; empty only for a trust domain's own id. */
	readonly path: string;
	readonly segments: readonly string[];
	/** Every leading path, shortest first: `/a`, `/a/b`. */
	readonly prefixes: readonly string[];
}

/** How the caller proved who it is. */
export type Authentication = 'mtls' | 'token' | 'as' | 'unix' | 'jwt_svid';

/** Who calls, once it is known. Made once per connection (per token), so its JSON is made once too. */
export interface Identity {
	readonly agent: SpiffeId;
	readonly authentication: Authentication;
	/** Milliseconds since the epoch; absent when the proof does not expire. */
	readonly notAfter?: number;
	/** Serial of the leaf, upper-case hex; only for `mtls`. */
	readonly serial?: string;
	/** SHA-256 of the leaf's DER, lower-case hex; only for `mtls`. */
	readonly fingerprint?: string;
	/** The kernel's user; only for `unix`. */
	readonly user?: number;
	/** Fingerprint of the token, the first 16 digits of its SHA-256 in lower-case hex; only for `token`. */
	readonly token?: string;
	/** The text of `input.agent`. */
	readonly json: string;
}

export function identity(
	agent: SpiffeId,
	authentication: Authentication,
	more: { notAfter?: number; serial?: string; fingerprint?: string; user?: number; token?: string } = {},
): Identity {
	const json = JSON.stringify({
		id: agent.id,
		trust_domain: agent.trustDomain,
		path: agent.path,
		segments: agent.segments,
		prefixes: agent.prefixes,
		authentication,
	});
	return Object.freeze({ agent, authentication, json, ...more });
}
