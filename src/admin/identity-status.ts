import type { BundleStatus } from '../identity/bundles/bundle.ts';
import type { IdentityStatus } from '../identity/status.ts';
import { time } from './time.ts';

/** `identity` in the body of `GET /v1/status`. Times in RFC 3339; what is absent is not the case. */
export interface ShownIdentity {
	/** The SVID in force; absent while there is none. */
	readonly id?: string;
	readonly serial?: string;
	readonly not_after?: string;
	/** Why no handshake is served. */
	readonly missing?: string;
	/** Why what the source holds was not taken. */
	readonly problem?: string;
	readonly source: {
		readonly kind: string;
		readonly from: string;
		readonly connected?: boolean;
		readonly since?: string;
		readonly problem?: string;
		/** CRLs that came and are not evaluated. */
		readonly crls?: number;
		readonly jwt_problem?: string;
	};
	readonly trust_bundles: readonly {
		readonly trust_domain: string;
		readonly source: string;
		readonly from: string;
		/** Absent without a bundle: nobody of the domain is trusted. */
		readonly cas?: number;
		readonly jwt_keys?: number;
		readonly revision?: string;
		/** In digits: it may be larger than a double holds. */
		readonly sequence?: string;
		readonly refreshed?: string;
		readonly problem?: string;
	}[];
	/** Somebody showed Sallyport's own id. */
	readonly own_id_shown?: { readonly count: number; readonly last: string; readonly serial: string };
}

export function identityOf({ svid, problem, broken, source, bundles, ownIdShown }: IdentityStatus): ShownIdentity {
	const { kind, from, connected, since, crls } = source;
	return {
		...(svid === undefined ? {} : { id: svid.spiffeId.id, serial: svid.serial, not_after: time(svid.notAfter) }),
		...(problem === undefined ? {} : { missing: problem }),
		...(broken === undefined ? {} : { problem: broken }),
		source: {
			kind,
			from,
			...(connected === undefined ? {} : { connected }),
			...(since === undefined ? {} : { since: time(since) }),
			...(source.problem === undefined ? {} : { problem: source.problem }),
			...(crls === undefined ? {} : { crls }),
			...(source.jwtProblem === undefined ? {} : { jwt_problem: source.jwtProblem }),
		},
		trust_bundles: bundles.map(bundleOf),
		...(ownIdShown === undefined ? {} : { own_id_shown: { ...ownIdShown, last: time(ownIdShown.last) } }),
	};
}

const bundleOf = ({
	trustDomain,
	kind,
	from,
	cas,
	jwtKeys,
	revision,
	sequence,
	refreshed,
	problem,
}: BundleStatus): ShownIdentity['trust_bundles'][number] => ({
	trust_domain: trustDomain,
	source: kind,
	from,
	...(cas === undefined ? {} : { cas }),
	...(jwtKeys === undefined ? {} : { jwt_keys: jwtKeys }),
	...(revision === undefined ? {} : { revision }),
	...(sequence === undefined ? {} : { sequence: String(sequence) }),
	...(refreshed === undefined ? {} : { refreshed: time(refreshed) }),
	...(problem === undefined ? {} : { problem }),
});
