import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import type { SpiffeId } from '../model/agent.ts';
import type { When } from './path.ts';
import { judgeSvid } from './rules.ts';
import { type Broken, readPemCertificates, type TrustBundle, type TrustBundles, trustBundle } from './trust.ts';

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

/**
 * Checks that certificate, key and trust bundle belong together and make a valid SVID of the trust domain, by the
 * rules that peers are judged by. `broken` names no secret.
 */
export function openSvid(material: SvidMaterial, trustDomain: string, when: When): Svid | Broken {
	const anchors = readPemCertificates(material.trustBundle);
	if ('broken' in anchors) return { broken: `trust bundle: ${anchors.broken}` };
	const bundle = trustBundle(trustDomain, anchors);
	if ('broken' in bundle) return { broken: `trust bundle: ${bundle.broken}` };
	const chain = readPemCertificates(material.certificate);
	if ('broken' in chain) return { broken: `certificate: ${chain.broken}` };
	const [leaf] = chain;
	if (leaf === undefined) return { broken: 'certificate: it is empty' };
	const key = readKey(material.key);
	if (key === undefined) return { broken: 'key: it is not an unencrypted PEM private key' };
	if (!leaf.x509.checkPrivateKey(key)) return { broken: 'key: it does not belong to the certificate' };

	const domain = trustDomainOf(leaf.facts.names.find(({ kind }) => kind === 'uri')?.value);
	if (domain !== undefined && domain !== trustDomain) {
		return { broken: `certificate: its trust domain is ${domain}; the configuration says ${trustDomain}` };
	}
	const bundles: TrustBundles = new Map<string, TrustBundle>([[trustDomain, bundle]]);
	const facts = judgeSvid(
		chain.map(({ x509 }) => x509.raw),
		bundles,
		when,
	);
	if ('cause' in facts) return { broken: `certificate: ${facts.detail ?? facts.cause}` };
	const hash = createHash('sha256');
	for (const part of [material.certificate, material.key, material.trustBundle]) {
		hash.update(createHash('sha256').update(part).digest());
	}
	return Object.freeze({
		certificate: material.certificate,
		key: material.key,
		spiffeId: facts.spiffeId,
		notAfter: facts.notAfter,
		serial: facts.serial,
		trustBundles: bundles,
		revision: hash.digest('hex'),
		trustRevision: bundle.revision,
	});
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
