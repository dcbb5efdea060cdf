import {
	createHash,
	createPrivateKey,
	createPublicKey,
	type KeyObject,
	sign,
	verify,
	X509Certificate,
} from 'node:crypto';
import { objectOf, parseRecord } from './read-record.ts';

/**
 * Checkpoints: signed statements of where the chain stood.
 *
 * The signature is over the UTF-8 bytes of the checkpoint's own line from its first brace up to, not including,
 * `,"signature":`. That part holds chain, seq, `prev` (the hash of the record before), time and instance, so nothing in
 * the line can be changed, and the line alone, held elsewhere, proves everything before it.
 */

/** What signs. `certificates`: DER, the leaf first, when the key is an SVID's. */
export interface SigningKey {
	readonly key: KeyObject;
	readonly certificates?: readonly Uint8Array[];
}

/** From PEM texts: a private key, and the chain of its certificate, leaf first. */
export function signingKey(key: string, certificate: string): SigningKey {
	const certificates = certificate.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
	return { key: createPrivateKey(key), certificates: certificates.map(pem => new X509Certificate(pem).raw) };
}

export type SigningAlgorithm = 'ecdsa-sha256' | 'ecdsa-sha384' | 'ed25519' | 'rsa-pss-sha256';

const SIGNATURE = ',"signature":"';

/** Greatest number of open decisions that a checkpoint names. */
export const OPEN_LISTED = 4096;

/** Undefined for a key that cannot sign checkpoints. */
export function algorithmOf(key: KeyObject): SigningAlgorithm | undefined {
	switch (key.asymmetricKeyType) {
		case 'ec':
			return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'ecdsa-sha384' : 'ecdsa-sha256';
		case 'ed25519':
			return 'ed25519';
		case 'rsa':
			return 'rsa-pss-sha256';
		default:
			return undefined;
	}
}

/** SHA-256, lower-case hex, of the public key's SubjectPublicKeyInfo. */
export function keyIdOf(key: KeyObject): string {
	const spki = (key.type === 'public' ? key : createPublicKey(key)).export({ type: 'spki', format: 'der' });
	return createHash('sha256').update(spki).digest('hex');
}

const RSA = { padding: 6 /* RSA_PKCS1_PSS_PADDING */, saltLength: 32 } as const;

function signBytes(key: KeyObject, algorithm: SigningAlgorithm, data: Uint8Array): Buffer {
	if (algorithm === 'ed25519') return sign(null, data, key);
	if (algorithm === 'rsa-pss-sha256') return sign('sha256', data, { key, ...RSA });
	return sign(algorithm === 'ecdsa-sha384' ? 'sha384' : 'sha256', data, { key, dsaEncoding: 'ieee-p1363' });
}

function verifyBytes(key: KeyObject, algorithm: SigningAlgorithm, data: Uint8Array, signature: Uint8Array): boolean {
	try {
		if (algorithm === 'ed25519') return verify(null, data, key, signature);
		if (algorithm === 'rsa-pss-sha256') return verify('sha256', data, { key, ...RSA }, signature);
		const digest = algorithm === 'ecdsa-sha384' ? 'sha384' : 'sha256';
		return verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
	} catch {
		return false;
	}
}

export interface CheckpointFacts {
	/** The last record before the checkpoint. */
	readonly seq: number;
	readonly hash: string;
	/** Permitted calls that have no outcome yet. */
	readonly open: Iterable<string>;
	readonly openCount: number;
	/** Whether it ends its segment. */
	readonly final: boolean;
}

/**
 * The body of a checkpoint's line, which begins with `begin`. Without a key, or with one that cannot sign, it is written
 * unsigned and says why: it still says what is open.
 */
export function checkpointBody(begin: string, facts: CheckpointFacts, signer: SigningKey | undefined): string {
	const open: string[] = [];
	for (const id of facts.open) {
		if (open.length === OPEN_LISTED) break;
		open.push(id);
	}
	const fields = { seq: facts.seq, hash: facts.hash, final: facts.final, open, open_count: facts.openCount };
	const algorithm = signer === undefined ? undefined : algorithmOf(signer.key);
	if (signer === undefined || algorithm === undefined) {
		const unsigned = signer === undefined ? 'no key' : 'the key cannot sign';
		return `,"checkpoint":${JSON.stringify({ ...fields, unsigned })}`;
	}
	try {
		const certificates = signer.certificates?.map(der => Buffer.from(der).toString('base64'));
		const more = { algorithm, key_id: keyIdOf(signer.key), public_key: spkiOf(signer.key) };
		const shown = certificates === undefined ? { ...fields, ...more } : { ...fields, ...more, certificates };
		const body = `,"checkpoint":${JSON.stringify(shown)}`;
		const signature = signBytes(signer.key, algorithm, Buffer.from(begin + body));
		return `${body}${SIGNATURE}${signature.toString('hex')}"`;
	} catch (error) {
		const unsigned = error instanceof Error ? error.message : String(error);
		return `,"checkpoint":${JSON.stringify({ ...fields, unsigned })}`;
	}
}

const spkiOf = (key: KeyObject): string =>
	createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64');

/** A checkpoint as read from a line. */
export interface Checkpoint {
	readonly chain: string;
	/** Of the last record that it covers. */
	readonly seq: number;
	readonly hash: string;
	readonly time: string;
	readonly open: readonly string[];
	readonly openCount: number;
	/** `valid`: the signature is right for the key that the checkpoint names; whose key that is, is another question. */
	readonly signature: 'valid' | 'invalid' | 'unsigned';
	readonly keyId: string | undefined;
	readonly certificates: readonly X509Certificate[];
}

/** Undefined when the line is no checkpoint. `line` is without its line feed. */
export function readCheckpoint(line: Buffer): Checkpoint | undefined {
	const record = parseRecord(line);
	const facts = objectOf(record?.checkpoint);
	if (record?.type !== 'checkpoint' || facts === undefined) return undefined;
	const { chain, prev, seq, timestamp } = record;
	if (typeof chain !== 'string' || typeof prev !== 'string' || typeof seq !== 'number') return undefined;
	if (typeof timestamp !== 'string') return undefined;
	const open = Array.isArray(facts.open) ? facts.open.filter(id => typeof id === 'string') : [];
	const openCount = typeof facts.open_count === 'number' ? facts.open_count : open.length;
	const certificates = certificatesOf(facts.certificates);
	const common = { chain, seq: seq - 1, hash: prev, time: timestamp, open, openCount };
	// The statement and the place of the line in the chain must say the same.
	const agree = facts.seq === seq - 1 && facts.hash === prev;
	if (record.signature === undefined) {
		const signature = agree && typeof facts.unsigned === 'string' ? 'unsigned' : 'invalid';
		return { ...common, signature, keyId: undefined, certificates: [] };
	}
	const keyId = typeof facts.key_id === 'string' ? facts.key_id : undefined;
	const good = agree && certificates !== undefined && signatureHolds(line, record.signature, facts, certificates);
	return { ...common, signature: good ? 'valid' : 'invalid', keyId, certificates: certificates ?? [] };
}

function signatureHolds(
	line: Buffer,
	signature: unknown,
	facts: Readonly<Record<string, unknown>>,
	certificates: readonly X509Certificate[],
): boolean {
	const { algorithm, public_key: spki, key_id: keyId } = facts;
	if (typeof signature !== 'string' || typeof spki !== 'string' || typeof algorithm !== 'string') return false;
	const ending = Buffer.from(`${SIGNATURE}${signature}"}`);
	const signed = line.subarray(0, line.length - ending.length);
	// One spelling only: lower-case hex, last in the line.
	if (!/^(?:[0-9a-f]{2})+$/.test(signature) || !line.subarray(signed.length).equals(ending)) return false;
	try {
		const key = createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' });
		if (algorithmOf(key) !== algorithm || keyIdOf(key) !== keyId) return false;
		const leaf = certificates[0];
		if (leaf !== undefined && keyIdOf(leaf.publicKey) !== keyId) return false;
		return verifyBytes(key, algorithm as SigningAlgorithm, signed, Buffer.from(signature, 'hex'));
	} catch {
		return false;
	}
}

/** An empty list when there are none; undefined when they cannot be read. */
function certificatesOf(value: unknown): readonly X509Certificate[] | undefined {
	if (value === undefined) return [];
	if (!Array.isArray(value)) return undefined;
	try {
		return value.map(text => new X509Certificate(Buffer.from(String(text), 'base64')));
	} catch {
		return undefined;
	}
}
