import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Checkpoint, keyIdOf } from './checkpoint.ts';

/** Whose checkpoints count. */
export interface Trust {
	readonly authorities: readonly X509Certificate[];
	/** Ids of keys that count without a certificate. */
	readonly keys: ReadonlySet<string>;
	/** The SPIFFE ID that a certificate must show; any that the authorities vouch for when absent. */
	readonly identity?: string;
}

const PEM = /-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g;

/** From PEM files: CAs of a trust domain, and public keys or certificates of keys named by `audit.key`. */
export async function readTrust(
	bundles: readonly string[],
	keys: readonly string[],
	identity?: string,
): Promise<Trust> {
	const authorities: X509Certificate[] = [];
	for (const path of bundles) {
		const found = (await readFile(path, 'utf8')).match(PEM) ?? [];
		if (found.length === 0) throw new Error(`${path} holds no PEM certificate`);
		for (const pem of found) authorities.push(new X509Certificate(pem));
	}
	const ids = new Set<string>();
	for (const path of keys) ids.add(keyIdOf(createPublicKey(await readFile(path))));
	return { authorities, keys: ids, ...(identity === undefined ? {} : { identity }) };
}

/** Longest path from a leaf to an authority. */
const DEPTH = 8;

/**
 * To whom the key of a checkpoint belongs: the SPIFFE ID of its certificate, or the key's id; undefined when it is not
 * trusted. Certificates must have been valid when the checkpoint was written, not now.
 */
export function trusts(trust: Trust, checkpoint: Checkpoint): string | undefined {
	if (checkpoint.signature !== 'valid' || checkpoint.keyId === undefined) return undefined;
	if (trust.keys.has(checkpoint.keyId)) return `key ${checkpoint.keyId}`;
	const leaf = checkpoint.certificates[0];
	if (leaf === undefined || leaf.ca) return undefined;
	const at = Date.parse(checkpoint.time);
	const subject = subjectOf(leaf);
	if (trust.identity !== undefined && subject !== trust.identity) return undefined;
	return reaches(leaf, checkpoint.certificates.slice(1), trust.authorities, at, DEPTH) ? subject : undefined;
}

/** Why the key of a checkpoint with a valid signature is not trusted, in words. */
export function distrust(trust: Trust, { keyId, certificates, time }: Checkpoint): string {
	const leaf = certificates[0];
	if (leaf === undefined) return `key ${keyId ?? '?'} shows no certificate and is not among those of --key`;
	const subject = subjectOf(leaf);
	if (leaf.ca) return `the certificate of ${subject} is a CA's`;
	if (trust.identity !== undefined && subject !== trust.identity) return `it is ${subject}'s, not ${trust.identity}'s`;
	return `no CA that was given vouches for the certificate of ${subject} at ${time}`;
}

function reaches(
	certificate: X509Certificate,
	intermediates: readonly X509Certificate[],
	authorities: readonly X509Certificate[],
	at: number,
	depth: number,
): boolean {
	if (depth === 0 || !validAt(certificate, at)) return false;
	if (authorities.some(authority => validAt(authority, at) && issued(authority, certificate))) return true;
	return intermediates.some(
		(issuer, index) =>
			issued(issuer, certificate) &&
			reaches(
				issuer,
				[...intermediates.slice(0, index), ...intermediates.slice(index + 1)],
				authorities,
				at,
				depth - 1,
			),
	);
}

const issued = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
	issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

const validAt = (certificate: X509Certificate, at: number): boolean =>
	certificate.validFromDate.getTime() <= at && at <= certificate.validToDate.getTime();

function subjectOf(certificate: X509Certificate): string {
	const uri = /URI:([^,\s]+)/.exec(certificate.subjectAltName ?? '');
	return uri?.[1] ?? certificate.fingerprint256;
}
