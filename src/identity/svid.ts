import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import type { SpiffeId } from '../model/agent.ts';
import type { When } from './path.ts';
import { judgeSvid } from './rules.ts';
import {
	type Broken,
	type Certificate,
	readPemCertificates,
	type TrustBundle,
	type TrustBundles,
	trustBundle,
} from './trust.ts';

/** Sallyport's own SVID and what it judges peers by: immutable, checked as a whole, swapped as a whole. */
export interface Svid {
	/** PEM chain, leaf first. */
	readonly certificate: string;
	/** PEM. It goes into TLS contexts and signatures and nowhere else. */
	readonly key: string;
	readonly spiffeId: SpiffeId;
	/** Milliseconds since the epoch. */
	readonly notAfter: number;
	/** Upper-case hex. */
	readonly serial: string;
	readonly trustBundles: TrustBundles;
	/** Changes with any part; lower-case hex. */
	readonly revision: string;
	/** Changes with the trust bundles alone; lower-case hex. */
	readonly trustRevision: string;
}

/** PEM texts as a source read them. */
export interface SvidMaterial {
	readonly certificate: string;
	readonly key: string;
	readonly trustBundle: string;
}

/** What an SVID is made of, as far as it could be read. */
export interface SvidParts {
	/** The leaf first. */
	readonly chain: readonly Certificate[];
	readonly key: KeyObject;
	/** Of the own trust domain. */
	readonly bundle: TrustBundle;
}

/** Reads PEM texts and checks them as {@link checkSvid} does. `broken` names no secret. */
export function openSvid(material: SvidMaterial, trustDomain: string, when: When): Svid | Broken {
	const anchors = readPemCertificates(material.trustBundle);
	if ('broken' in anchors) return { broken: `trust bundle: ${anchors.broken}` };
	const bundle = trustBundle(trustDomain, anchors);
	if ('broken' in bundle) return { broken: `trust bundle: ${bundle.broken}` };
	const chain = readPemCertificates(material.certificate);
	if ('broken' in chain) return { broken: `certificate: ${chain.broken}` };
	const key = readKey(material.key);
	if (key === undefined) return { broken: 'key: it is not an unencrypted PEM private key' };
	return checkSvid({ chain, key, bundle }, trustDomain, when);
}

/**
 * Checks that certificate, key and trust bundle belong together and make a valid SVID of the trust domain, by the
 * rules that peers are judged by.
 */
export function checkSvid({ chain, key, bundle }: SvidParts, trustDomain: string, when: When): Svid | Broken {
	const [leaf] = chain;
	if (leaf === undefined) return { broken: 'certificate: it is empty' };
	if (!leaf.x509.checkPrivateKey(key)) return { broken: 'key: it does not belong to the certificate' };
	const domain = trustDomainOf(leaf.facts.names.find(({ kind }) => kind === 'uri')?.value);
	if (domain !== undefined && domain !== trustDomain) {
		return { broken: `certificate: its trust domain is ${domain}; the configuration says ${trustDomain}` };
	}
	const trustBundles: TrustBundles = new Map([[trustDomain, bundle]]);
	const facts = judgeSvid(
		chain.map(({ x509 }) => x509.raw),
		trustBundles,
		when,
	);
	if ('cause' in facts) return { broken: `certificate: ${facts.detail ?? facts.cause}` };
	const certificate = chain.map(({ x509 }) => x509.toString()).join('');
	const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
	return Object.freeze({
		certificate,
		key: pem,
		spiffeId: facts.spiffeId,
		notAfter: facts.notAfter,
		serial: facts.serial,
		trustBundles,
		revision: digestOf(certificate, pem, bundle.revision),
		trustRevision: bundle.revision,
	});
}

/**
 * The same SVID with the trust bundles of other domains beside its own, each for its own domain (SPIFFE_Federation.md
 * §4.2): where one names the own domain again, it does not count.
 */
export function withBundles(svid: Svid, foreign: readonly TrustBundle[]): Svid {
	const { trustDomain } = svid.spiffeId;
	const others = foreign.filter(bundle => bundle.trustDomain !== trustDomain);
	if (others.length === 0) return svid;
	const trustBundles = new Map([...svid.trustBundles, ...others.map(bundle => [bundle.trustDomain, bundle] as const)]);
	const domains = [...trustBundles.keys()].sort();
	const trustRevision = digestOf(...domains.flatMap(domain => [domain, trustBundles.get(domain)?.revision ?? '']));
	return Object.freeze({
		...svid,
		trustBundles,
		revision: digestOf(svid.revision, trustRevision),
		trustRevision,
	});
}

/** SHA-256 over the parts, each by its own SHA-256, so that none can run into the next. */
function digestOf(...parts: readonly string[]): string {
	const hash = createHash('sha256');
	for (const part of parts) hash.update(createHash('sha256').update(part).digest());
	return hash.digest('hex');
}

function readKey(pem: string): KeyObject | undefined {
	try {
		return createPrivateKey(pem);
	} catch {
		return undefined;
	}
}

function trustDomainOf(uri: string | undefined): string | undefined {
	const id = parseSpiffeId(uri ?? '');
	return 'broken' in id ? undefined : id.trustDomain;
}
