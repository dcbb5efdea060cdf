import type { CredentialStatus } from '../identity/credentials/set.ts';
import { time } from './time.ts';

/** One entry of an upstream's `credentials` in the body of `GET /v1/status`: where it comes from, never what it is. */
export interface ShownCredential {
	readonly upstream: string;
	/** Its name, or its place in the list. */
	readonly credential: string;
	/** Whether calls can be given it now. */
	readonly valid: boolean;
	readonly sources: readonly {
		readonly kind: string;
		/** Path, program or audience. */
		readonly from?: string;
		/** When what is in use came. */
		readonly since?: string;
		/** Until when it is good. */
		readonly expires?: string;
		/** Why the last look brought nothing. */
		readonly problem?: string;
	}[];
}

export const credentialsOf = (credentials: readonly CredentialStatus[]): ShownCredential[] =>
	credentials.map(({ sources, ...entry }) => ({
		...entry,
		sources: sources.map(({ since, expires, ...source }) => ({
			...source,
			...(since === undefined ? {} : { since: time(since) }),
			...(expires === undefined ? {} : { expires: time(expires) }),
		})),
	}));
