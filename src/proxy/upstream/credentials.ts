import type { Entries, LoginEntry } from '../../identity/credentials/entries.ts';
import type { Identity } from '../../model/agent.ts';
import type { Credential } from '../../protocols/contract.ts';

/** What an agent signs in with: `none` where the upstream has no list, `no_match` and `unavailable` deny. */
export type SignIn = Credential | 'none' | 'no_match' | 'unavailable';

export function signInOf(entries: Entries<LoginEntry> | undefined): (identity: Identity) => SignIn {
	if (entries === undefined) return () => 'none';
	return identity => {
		const entry = entries.find(identity);
		if (entry === undefined) return 'no_match';
		const login = entry.login();
		return login === undefined ? 'unavailable' : { ...login, entry: entry.label };
	};
}
