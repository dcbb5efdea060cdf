import { type Broken, type JwtAuthorities, readPemCertificates, type TrustBundle, trustBundle } from '../trust.ts';
import { readBundleDocument } from './document.ts';

/** What judges the peers of one trust domain: CAs for X.509-SVIDs, keys for JWT-SVIDs. */
export interface DomainBundle {
	readonly trust: TrustBundle;
	readonly jwt: JwtAuthorities;
	readonly sequence?: bigint;
	/** Milliseconds. */
	readonly refreshHint?: number;
}

/** Where a trust domain's bundle comes from. */
export type BundleKind = 'files' | 'https_web' | 'workload_api';

/** How one trust domain's bundle is. Times are milliseconds since the epoch. */
export interface BundleStatus {
	readonly trustDomain: string;
	readonly kind: BundleKind;
	/** Paths, URL or socket. */
	readonly from: string;
	/** How many CAs; undefined when there is no bundle, so that nobody of the domain is trusted. */
	readonly cas?: number;
	readonly jwtKeys?: number;
	readonly revision?: string;
	readonly sequence?: bigint;
	/** When it was last seen to be what it is. */
	readonly refreshed?: number;
	/** Why the last look at its source was not taken; what was in force before still is. */
	readonly problem?: string;
}

/** One trust domain's bundle, kept up to date. What it holds is the last good one. */
export interface BundleSource {
	readonly trustDomain: string;
	current(): DomainBundle | undefined;
	status(): BundleStatus;
	/** Takes the first look. Without a bundle in the end the domain is not trusted; that is no error. */
	start(): Promise<void>;
	/** Looks again; resolves with what is wrong. */
	reload(): Promise<Broken | undefined>;
	close(): void;
}

/** What the owner of a source is told after a look: `broken` when it was not taken. */
export interface BundleNews {
	readonly trustDomain: string;
	readonly broken?: string;
}

/** Reads a bundle from a file: PEM certificates, or a SPIFFE bundle (a JWK Set). */
export function readDomainBundle(trustDomain: string, bytes: Buffer): DomainBundle | Broken {
	if (/^\s*\{/.test(bytes.toString('latin1', 0, 64))) return documentBundle(trustDomain, bytes);
	const anchors = readPemCertificates(bytes.toString('utf8'));
	if ('broken' in anchors) return anchors;
	const trust = trustBundle(trustDomain, anchors);
	return 'broken' in trust ? trust : { trust, jwt: new Map() };
}

/** Reads a SPIFFE bundle. */
export function documentBundle(trustDomain: string, bytes: Buffer): DomainBundle | Broken {
	const document = readBundleDocument(bytes);
	if ('broken' in document) return document;
	const { anchors, ...more } = document;
	const trust = trustBundle(trustDomain, anchors);
	return 'broken' in trust ? trust : { trust, ...more };
}

/** Several readings for one trust domain as one: the CAs and keys of all. */
export function joinBundles(trustDomain: string, parts: readonly DomainBundle[]): DomainBundle | Broken {
	const [only] = parts;
	if (parts.length === 1 && only !== undefined) return only;
	const trust = trustBundle(
		trustDomain,
		parts.flatMap(part => part.trust.anchors),
	);
	if ('broken' in trust) return trust;
	const jwt = new Map(parts.flatMap(part => [...part.jwt]));
	if (jwt.size < parts.reduce((sum, part) => sum + part.jwt.size, 0)) return { broken: 'two keys have one id' };
	return { trust, jwt };
}
