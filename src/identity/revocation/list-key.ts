import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type { Broken } from '../trust.ts';

/** A key that signs lists, or by which they are judged. The algorithm is the key's: what a list says of it must agree. */
export interface ListKey {
	readonly key: KeyObject;
	/** JWS `alg` (RFC 7518 §3.1, RFC 8037 §3.1). */
	readonly algorithm: 'EdDSA' | 'ES256' | 'ES384' | 'RS256';
	/** JWS `kid`: SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hex. */
	readonly id: string;
}

/** Keys in one file: the old one and the new one while signers change. */
const MAX_KEYS = 8;
const MIN_RSA_BITS = 2048;
const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/** PEM public keys. A private key among them is a mistake: it is not for those who only verify. */
export function readVerifyKeys(pem: string): ListKey[] | Broken {
	const blocks = [...pem.matchAll(PEM)];
	if (blocks.length === 0) return { broken: 'there is no PEM public key in it' };
	if (blocks.length > MAX_KEYS) return { broken: `there are more than ${MAX_KEYS} keys in it` };
	const keys: ListKey[] = [];
	for (const [block, label] of blocks) {
		if (label !== 'PUBLIC KEY') return { broken: `there is a ${label} in it; expected PUBLIC KEY only` };
		let key: KeyObject;
		try {
			key = createPublicKey(block);
		} catch {
			return { broken: 'it holds no PEM public key' };
		}
		const read = listKey(key);
		if ('broken' in read) return read;
		keys.push(read);
	}
	return keys;
}

/** A PEM private key. `broken` holds nothing of it. */
export function readSigningKey(pem: string): ListKey | Broken {
	try {
		return listKey(createPrivateKey(pem));
	} catch {
		return { broken: 'it is not an unencrypted PEM private key' };
	}
}

function listKey(key: KeyObject): ListKey | Broken {
	const algorithm = algorithmOf(key);
	if (typeof algorithm === 'object') return algorithm;
	const open = key.type === 'private' ? createPublicKey(key) : key;
	const id = createHash('sha256')
		.update(open.export({ type: 'spki', format: 'der' }))
		.digest('hex');
	return { key, algorithm, id };
}

function algorithmOf({
	asymmetricKeyType: type,
	asymmetricKeyDetails: details,
}: KeyObject): ListKey['algorithm'] | Broken {
	if (type === 'ed25519') return 'EdDSA';
	if (type === 'rsa') {
		return (details?.modulusLength ?? 0) < MIN_RSA_BITS
			? { broken: `an RSA key of less than ${MIN_RSA_BITS} bits` }
			: 'RS256';
	}
	if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
	if (type === 'ec' && details?.namedCurve === 'secp384r1') return 'ES384';
	return { broken: 'a key of another kind than Ed25519, EC P-256 or P-384, and RSA' };
}
