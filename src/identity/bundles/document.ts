import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { scanJson } from '../../formats/json.ts';
import { type Broken, type Certificate, type JwtAuthorities, openCertificate } from '../trust.ts';

/**
 * A SPIFFE bundle as it is passed around: a JWK Set (SPIFFE_Trust_Domain_and_Bundle.md §4, RFC 7517). Which trust domain it
 * is for does not stand in it; whoever has it knows that.
 */
export interface BundleDocument {
	/** `use: x509-svid`: the first certificate of each `x5c`. */
	readonly anchors: readonly Certificate[];
	/** `use: jwt-svid`. */
	readonly jwt: JwtAuthorities;
	/** `spiffe_sequence`: grows with every change of the bundle. */
	readonly sequence?: bigint;
	/** `spiffe_refresh_hint`, milliseconds. */
	readonly refreshHint?: number;
}

const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 256;
/** Key types that are known; what has another is left alone, as is what has another use (§4.2). */
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC']);
const CURVES: ReadonlySet<unknown> = new Set(['P-256', 'P-384', 'P-521']);
const MIN_RSA_BITS = 2048;
/** Of a private or symmetric key (RFC 7518 §6). */
const SECRET = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;

type Members = Readonly<Record<string, unknown>>;

/** Reads a whole SPIFFE bundle. One without keys is good: it says that the trust domain is not to be trusted. */
export function readBundleDocument(bytes: Buffer): BundleDocument | Broken {
	const document = readJwkSet(bytes);
	if ('broken' in document) return document;
	const { members, keys } = document;
	const anchors: Certificate[] = [];
	const jwt = new Map<string, KeyObject>();
	for (const [index, key] of keys.entries()) {
		if (!KEY_TYPES.has(key['kty'])) continue;
		const broken =
			key['use'] === 'x509-svid'
				? takeAuthority(key, anchors)
				: key['use'] === 'jwt-svid'
					? takeJwtKey(key, jwt)
					: undefined;
		if (broken !== undefined) return { broken: `key ${index + 1}: ${broken}` };
	}
	const { spiffe_sequence: sequence, spiffe_refresh_hint: hint } = members;
	if (sequence !== undefined && typeof sequence !== 'bigint') return { broken: 'spiffe_sequence: no whole number' };
	if (hint !== undefined && (typeof hint !== 'number' || !Number.isSafeInteger(hint) || hint < 0))
		return { broken: 'spiffe_refresh_hint: no number of seconds' };
	return {
		anchors,
		jwt,
		...(sequence === undefined ? {} : { sequence }),
		...(hint === undefined ? {} : { refreshHint: hint * 1000 }),
	};
}

/** Reads the JWK Set of one trust domain from the Workload API, which holds keys for JWT-SVIDs only and need not say so (§6.2.2). */
export function readJwtBundle(bytes: Buffer): JwtAuthorities | Broken {
	const document = readJwkSet(bytes);
	if ('broken' in document) return document;
	const jwt = new Map<string, KeyObject>();
	for (const [index, key] of document.keys.entries()) {
		const { use, kty } = key;
		if (!KEY_TYPES.has(kty) || (use !== undefined && use !== 'jwt-svid' && use !== 'sig')) continue;
		const broken = takeJwtKey(key, jwt);
		if (broken !== undefined) return { broken: `key ${index + 1}: ${broken}` };
	}
	return jwt;
}

function readJwkSet(bytes: Buffer): { readonly members: Members; readonly keys: readonly Members[] } | Broken {
	const fault = scanJson(bytes, { depth: 8, bytes: MAX_BYTES, anyNumber: true });
	if (fault !== undefined) return { broken: `it is no JSON document (${fault.rule} at byte ${fault.offset})` };
	// Sequences may have more digits than a double.
	const members: unknown = JSON.parse(bytes.toString('utf8'), (key, value: unknown, context?: { source?: string }) =>
		key === 'spiffe_sequence' && /^\d{1,39}$/.test(context?.source ?? '') ? BigInt(context?.source ?? 0) : value,
	);
	if (!isMembers(members)) return { broken: 'it is no JSON object' };
	const { keys } = members;
	if (!Array.isArray(keys)) return { broken: 'it has no list `keys`' };
	if (keys.length > MAX_KEYS) return { broken: `it has more than ${MAX_KEYS} keys` };
	if (!keys.every(isMembers)) return { broken: '`keys` holds something that is no key' };
	for (const [index, key] of keys.entries())
		if (SECRET.some(member => key[member] !== undefined)) return { broken: `key ${index + 1}: it holds a secret` };
	return { members, keys };
}

/** X509-SVID.md §6.2: without a certificate the entry is left alone, and only the first counts. */
function takeAuthority({ x5c }: Members, anchors: Certificate[]): string | undefined {
	if (!Array.isArray(x5c) || x5c.length === 0) return undefined;
	const [first]: unknown[] = x5c;
	if (typeof first !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(first)) return 'its first x5c is no base64';
	const certificate = openCertificate(Buffer.from(first, 'base64'));
	if ('broken' in certificate) return `its certificate: ${certificate.broken}`;
	anchors.push(certificate);
	return undefined;
}

/** Without an id an entry is left alone, and so is a key that no JWT-SVID may be signed with (JWT-SVID.md §2.1). */
function takeJwtKey(members: Members, jwt: Map<string, KeyObject>): string | undefined {
	const { kid, kty, crv } = members;
	if (typeof kid !== 'string' || kid === '') return undefined;
	if (kty === 'EC' && !CURVES.has(crv)) return undefined;
	if (jwt.has(kid)) return `there are two keys with the id ${JSON.stringify(kid)}`;
	const { n, e, x, y } = members;
	try {
		// Only what makes a public key: nothing else in the entry may decide what it is.
		const jwk = (kty === 'EC' ? { kty, crv, x, y } : { kty, n, e }) as JsonWebKey;
		const key = createPublicKey({ key: jwk, format: 'jwk' });
		if (kty === 'RSA' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) return undefined;
		jwt.set(kid, key);
		return undefined;
	} catch {
		return 'it is no public key';
	}
}

const isMembers = (value: unknown): value is Members =>
	typeof value === 'object' && value !== null && !Array.isArray(value);
