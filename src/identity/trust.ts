import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { splitDer, TAG } from '../formats/der.ts';
import { type CertificateFacts, readCertificate } from '../formats/der-certificate.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';

/** A certificate read twice: by our own strict reader, which judges, and by OpenSSL, which checks signatures. */
export interface Certificate {
	readonly facts: CertificateFacts;
	readonly x509: X509Certificate;
}

/** The CAs of one trust domain. Bundles of several domains are never merged (SPIFFE_Federation.md). */
export interface TrustBundle {
	readonly trustDomain: string;
	readonly anchors: readonly Certificate[];
	/** SHA-256 over the anchors, lower-case hex. */
	readonly revision: string;
}

/** Public keys by which JWT-SVIDs of one trust domain are judged, by key id (JWT-SVID.md §6). */
export type JwtAuthorities = ReadonlyMap<string, KeyObject>;

/** By trust domain. A domain without an entry is not trusted. */
export type TrustBundles = ReadonlyMap<string, TrustBundle>;

/** What a PEM file or a certificate breaks, in words. */
export interface Broken {
	readonly broken: string;
}

const MAX_CERTIFICATES = 256;
const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

export function openCertificate(der: Buffer): Certificate | Broken {
	const facts = readCertificate(der);
	if ('broken' in facts) return facts;
	let x509: X509Certificate;
	try {
		x509 = new X509Certificate(der);
	} catch {
		return { broken: 'OpenSSL cannot read it' };
	}
	try {
		// Read now, once: on a key that it does not know it throws, and whoever judges asks for it in the middle.
		return x509.publicKey === undefined ? { broken: 'its key cannot be read' } : { facts, x509 };
	} catch {
		return { broken: 'its key cannot be read' };
	}
}

/** The certificates of a PEM text, in order. Anything else that is PEM in it is a mistake, a private key above all. */
export function readPemCertificates(pem: string): Certificate[] | Broken {
	const blocks = [...pem.matchAll(PEM)];
	if (blocks.length === 0) return { broken: 'there is no PEM certificate in it' };
	if (blocks.length > MAX_CERTIFICATES) return { broken: `there are more than ${MAX_CERTIFICATES} certificates in it` };
	const certificates: Certificate[] = [];
	for (const [index, [block, label]] of blocks.entries()) {
		if (label !== 'CERTIFICATE') return { broken: `there is a ${label} in it; expected certificates only` };
		let der: Buffer;
		try {
			der = new X509Certificate(block).raw;
		} catch {
			return { broken: `certificate ${index + 1} cannot be read` };
		}
		const certificate = openCertificate(der);
		if ('broken' in certificate) return { broken: `certificate ${index + 1}: ${certificate.broken}` };
		certificates.push(certificate);
	}
	return certificates;
}

/** Certificates that stand one after the other in DER, as the Workload API gives them; there may be none. */
export function readDerCertificates(bytes: Buffer): Certificate[] | Broken {
	const elements = splitDer(bytes, TAG.sequence, MAX_CERTIFICATES);
	if ('broken' in elements) return elements;
	const certificates: Certificate[] = [];
	for (const [index, der] of elements.entries()) {
		const certificate = openCertificate(der);
		if ('broken' in certificate) return { broken: `certificate ${index + 1}: ${certificate.broken}` };
		certificates.push(certificate);
	}
	return certificates;
}

/** Makes a bundle of what was read from its file. Every certificate in it must be one of a CA. */
export function trustBundle(trustDomain: string, anchors: readonly Certificate[]): TrustBundle | Broken {
	for (const [index, { facts }] of anchors.entries()) {
		if (facts.basicConstraints?.ca !== true) return { broken: `certificate ${index + 1} is not one of a CA` };
	}
	const hash = createHash('sha256');
	for (const { x509 } of anchors) hash.update(createHash('sha256').update(x509.raw).digest());
	return { trustDomain, anchors, revision: hash.digest('hex') };
}

/** The bundle of the trust domain of `id`, from its PEM text. */
export function trustBundleFor(id: string, pem: string): TrustBundle | Broken {
	const spiffeId = parseSpiffeId(id);
	if ('broken' in spiffeId) return spiffeId;
	const anchors = readPemCertificates(pem);
	return 'broken' in anchors ? anchors : trustBundle(spiffeId.trustDomain, anchors);
}
