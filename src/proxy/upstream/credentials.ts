import type { UpstreamConfig } from '../../config/schema.ts';
import { matchesAny } from '../../formats/spiffe-pattern.ts';
import type { Identity } from '../../model/agent.ts';
import type { Credential } from '../../protocols/contract.ts';

/** First match of an upstream's `credentials`: `none` when it has no such list, `no_match` denies. */
export function credentialsOf(upstream: UpstreamConfig): (identity: Identity) => Credential | 'none' | 'no_match' {
	const entries = upstream.credentials?.map(({ agents, username, password }) => ({
		matches: matchesAny(agents),
		credential: { username, password },
	}));
	if (entries === undefined) return () => 'none';
	return ({ agent }) => entries.find(({ matches }) => matches(agent.id))?.credential ?? 'no_match';
}
