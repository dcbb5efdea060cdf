import type { IdentityConfig } from '../config/schema.ts';
import type { BundleStatus } from './bundles/bundle.ts';
import type { ForeignBundles } from './bundles/set.ts';
import type { SourceStatus, SvidSource } from './sources/source.ts';
import type { Svid } from './svid.ts';

/** Somebody showed Sallyport's own id in a handshake: a second holder of its key, or a chained instance. */
export interface OwnIdShown {
	readonly count: number;
	/** Milliseconds since the epoch. */
	readonly last: number;
	/** Of the last one's certificate, upper-case hex. */
	readonly serial: string;
}

/** How Sallyport's identity is. */
export interface IdentityStatus {
	readonly svid: Svid | undefined;
	/** Why no handshake can be served. */
	readonly problem?: string;
	/** Why what the source holds was not taken; what was in force before still is. */
	readonly broken?: string;
	readonly source: SourceStatus;
	/** The own trust domain's first. */
	readonly bundles: readonly BundleStatus[];
	readonly ownIdShown?: OwnIdShown;
}

export interface IdentityParts {
	readonly config: IdentityConfig;
	readonly svid: Svid | undefined;
	readonly problem: string | undefined;
	readonly broken: string | undefined;
	readonly source: SvidSource;
	readonly foreign: ForeignBundles;
	readonly ownIdShown: OwnIdShown | undefined;
}

export function identityStatus(parts: IdentityParts): IdentityStatus {
	const { svid, problem, broken, ownIdShown } = parts;
	return {
		svid,
		source: parts.source.status(),
		bundles: bundlesOf(parts),
		...(problem === undefined ? {} : { problem }),
		...(broken === undefined ? {} : { broken }),
		...(ownIdShown === undefined ? {} : { ownIdShown }),
	};
}

function bundlesOf({ config, source, foreign, svid }: IdentityParts): BundleStatus[] {
	const { kind, from, federated } = source.status();
	const place = kind === 'files' ? (config.svid.files?.trust_bundle ?? '') : from;
	const held = svid?.trustBundles;
	const domains = [config.trust_domain, ...(held?.keys() ?? []), ...(federated?.keys() ?? [])];
	const came = [...new Set(domains)].filter(domain => !foreign.names(domain));
	return [
		...came.map((trustDomain): BundleStatus => {
			const bundle = held?.get(trustDomain);
			const jwtKeys = source.jwtAuthorities(trustDomain)?.size;
			const broken = federated?.get(trustDomain);
			return {
				trustDomain,
				kind,
				from: place,
				...(bundle === undefined ? {} : { cas: bundle.anchors.length, revision: bundle.revision }),
				...(jwtKeys === undefined ? {} : { jwtKeys }),
				...(broken === undefined ? {} : { problem: broken }),
			};
		}),
		...foreign.status(),
	];
}
