import type { Refused } from '../model/cause.ts';
import type { Svid } from './svid.ts';

/** Of a `control` record: who Sallyport is from now on, and by which trust bundles peers are judged. */
export const identityFacts = (
	svid: Svid | undefined,
	problem: Refused | undefined,
): Readonly<Record<string, unknown>> =>
	svid === undefined
		? { missing: problem?.detail ?? '' }
		: {
				id: svid.spiffeId.id,
				serial: svid.serial,
				not_after: new Date(svid.notAfter).toISOString(),
				trust_bundles: Object.fromEntries([...svid.trustBundles].map(([domain, { revision }]) => [domain, revision])),
			};
