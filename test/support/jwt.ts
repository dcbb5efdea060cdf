import { constants, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** JWTs of every kind, good and bad. */

export const ecKey = (namedCurve = 'P-256'): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
export const rsaKey = (modulusLength = 2048): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey;

export const base64url = (value: unknown): string =>
	(Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))).toString(
		'base64url',
	);

export const seconds = (from = 0): number => Math.floor(Date.now() / 1000) + from;

/** Signs as the algorithm says (RFC 7518 §3). */
export function signatureOf(alg: string, key: KeyObject, text: string): Buffer {
	const hash = `sha${alg.slice(2)}`;
	const data = Buffer.from(text);
	if (alg.startsWith('ES')) return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
	if (alg.startsWith('RS')) return sign(hash, data, key);
	return sign(hash, data, {
		key,
		padding: constants.RSA_PKCS1_PSS_PADDING,
		saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
	});
}

export interface JwtOrder {
	readonly key: KeyObject;
	readonly alg?: string;
	readonly kid?: string;
	/** Replaces what a good header has; undefined takes it away. */
	readonly header?: Readonly<Record<string, unknown>>;
	readonly claims?: Readonly<Record<string, unknown>>;
}

export const AGENT = 'spiffe://example.org/agents/a';
export const AUDIENCE = 'spiffe://example.org/sallyport';

/** A JWT-SVID of `agents/a` for Sallyport, good for five minutes unless the order says otherwise. */
export function jwt({ key, alg = 'ES256', kid = 'k', header, claims }: JwtOrder): string {
	const first = base64url({ alg, kid, typ: 'JWT', ...header });
	const second = base64url({ sub: AGENT, aud: [AUDIENCE], exp: seconds(300), ...claims });
	return `${first}.${second}.${base64url(signatureOf(alg, key, `${first}.${second}`))}`;
}

/** A JWK Set with keys for JWT-SVIDs. */
export const jwtBundle = (keys: Readonly<Record<string, KeyObject>>): string =>
	JSON.stringify({
		keys: Object.entries(keys).map(([kid, key]) => ({
			...createPublicKey(key).export({ format: 'jwk' }),
			use: 'jwt-svid',
			kid,
		})),
	});
