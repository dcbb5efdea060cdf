import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { type CertificateFacts, OID, readCertificate } from '../formats/der-certificate.ts';
import {
	type Asn1,
	bitString,
	boolean,
	derOf,
	encoded,
	instant,
	integer,
	nothing,
	objectId,
	octetString,
	sequence,
	set,
	tagged,
	taggedBytes,
	utf8,
} from './mint-asn1.ts';
import type { CertificateExtension } from './mint-extensions.ts';

/**
 * Makes certificates (RFC 5280 §4.1): node-forge encodes, node:crypto signs. It makes what it is told, broken
 * certificates too, so that the rules can be tried on them; what a good SVID looks like stands in dev-ca.ts.
 */

export interface Minted {
	/** DER. */
	readonly certificate: Buffer;
	readonly key: KeyObject;
}

export interface CertificateOrder {
	/** The private key whose public half is certified; a new one on P-256 when absent. */
	readonly key?: KeyObject;
	/** Self-signed when absent. */
	readonly issuer?: Minted;
	/** Attributes of the subject, by short name; may be empty. */
	readonly subject: readonly (readonly ['O' | 'OU' | 'CN', string])[];
	/** Milliseconds since the epoch; certificates hold whole seconds. */
	readonly notBefore: number;
	readonly notAfter: number;
	/** In this order. Key identifiers are added. */
	readonly extensions: readonly CertificateExtension[];
	/** Default SHA-256. */
	readonly digest?: 'sha1' | 'sha256' | 'sha384';
}

const ATTRIBUTES = { O: '2.5.4.10', OU: '2.5.4.11', CN: '2.5.4.3' } as const;

const SIGNATURES: Readonly<Record<string, string>> = {
	'ec-sha1': '1.2.840.10045.4.1',
	'ec-sha256': '1.2.840.10045.4.3.2',
	'ec-sha384': '1.2.840.10045.4.3.3',
	'rsa-sha1': '1.2.840.113549.1.1.5',
	'rsa-sha256': '1.2.840.113549.1.1.11',
	'rsa-sha384': '1.2.840.113549.1.1.12',
};

/** A new private key on P-256. */
export const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** Makes and signs one certificate. Throws on an order that cannot be encoded or signed. */
export function mint(order: CertificateOrder): Minted {
	const key = order.key ?? newKey();
	const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
	const signer = order.issuer?.key ?? key;
	const digest = order.digest ?? 'sha256';
	const algorithm = signatureAlgorithm(signer, digest);
	const subject = name(order.subject);
	const issuer = order.issuer === undefined ? undefined : factsOf(order.issuer.certificate);
	const tbs = sequence([
		tagged(0, [integer(Buffer.from([2]))]),
		integer(serial()),
		algorithm,
		issuer === undefined ? subject : encoded(issuer.subject),
		sequence([instant(order.notBefore), instant(order.notAfter)]),
		subject,
		encoded(spki),
		tagged(3, [sequence([...order.extensions, ...keyIdentifiers(keyId(spki), issuer)].map(extension))]),
	]);
	const signature = sign(digest, derOf(tbs), signer);
	return { certificate: derOf(sequence([tbs, algorithm, bitString(signature)])), key };
}

/** PEM of DER certificates, in the order given. */
export function certificatesToPem(certificates: readonly Buffer[]): string {
	return certificates
		.map(der => {
			const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
			return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
		})
		.join('');
}

/** Unencrypted PKCS#8 PEM. */
export const keyToPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function factsOf(certificate: Buffer): CertificateFacts {
	const facts = readCertificate(certificate);
	if ('broken' in facts) throw new Error(`the certificate of the issuer cannot be read: ${facts.broken}`);
	return facts;
}

function signatureAlgorithm(signer: KeyObject, digest: string): Asn1 {
	const id = SIGNATURES[`${signer.asymmetricKeyType}-${digest}`];
	if (id === undefined) throw new Error(`cannot sign with a key of type ${signer.asymmetricKeyType} and ${digest}`);
	return sequence([objectId(id), ...(signer.asymmetricKeyType === 'rsa' ? [nothing()] : [])]);
}

function keyIdentifiers(own: Buffer, issuer: CertificateFacts | undefined): CertificateExtension[] {
	const subjectKeyId = { oid: OID.subjectKeyIdentifier, critical: false, value: derOf(octetString(own)) };
	const issuerId = issuer?.subjectKeyId;
	if (issuerId === undefined) return [subjectKeyId];
	const value = derOf(sequence([taggedBytes(0, Buffer.from(issuerId, 'hex'))]));
	return [subjectKeyId, { oid: OID.authorityKeyIdentifier, critical: false, value }];
}

/** RFC 7093 §2: 160 bits of a SHA-256 over the public key. */
const keyId = (spki: Buffer): Buffer => createHash('sha256').update(spki).digest().subarray(0, 20);

/** 126 random bits, positive and never zero (RFC 5280 §4.1.2.2). */
function serial(): Buffer {
	const bytes = randomBytes(16);
	bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
	return bytes;
}

const name = (subject: CertificateOrder['subject']): Asn1 =>
	sequence(subject.map(([attribute, value]) => set([sequence([objectId(ATTRIBUTES[attribute]), utf8(value)])])));

const extension = ({ oid, critical, value }: CertificateExtension): Asn1 =>
	sequence([objectId(oid), ...(critical ? [boolean(true)] : []), octetString(value)]);
