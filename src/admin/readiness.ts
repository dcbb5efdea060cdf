import type { Refused } from '../model/cause.ts';
import type { NotReady } from './health.ts';

/** What calls cannot be served without, as it is now. */
export interface Readiness {
	readonly draining: boolean;
	/** Why Sallyport itself is not known. */
	readonly identity: Refused | undefined;
	/** Why it is not known who was revoked. */
	readonly revocations: Refused | undefined;
	/** Whether a policy is in force. */
	readonly policy: boolean;
	/** Why records cannot be written, where calls are denied then. */
	readonly audit: string | undefined;
}

/** The parts that are not ready, and why; agents can read this. Empty when calls can be served. */
export function readinessOf({ draining, identity, revocations, policy, audit }: Readiness): readonly NotReady[] {
	const missing: NotReady[] = [];
	if (draining) missing.push({ part: 'proxy', reason: 'draining' });
	if (identity !== undefined) missing.push({ part: 'identity', reason: identity.detail ?? identity.cause });
	if (revocations !== undefined) missing.push({ part: 'revocations', reason: revocations.detail ?? '' });
	// What is wrong with the policy is for operators: `sallyport status` says it.
	if (!policy) missing.push({ part: 'policy', reason: 'no policy was ever in force; `sallyport status` says why' });
	if (audit !== undefined) missing.push({ part: 'audit', reason: audit });
	return missing;
}
