import { constants, createHash, createPublicKey, type KeyObject, timingSafeEqual, verify } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';

/**
 * Signed policy bundles, as OPA signs them: `.signatures.json` holds exactly one JWT (a JWS in its compact form, RFC 7515
 * §7.1), whose payload lists every other file of the archive with its hash (openpolicyagent.org, "Bundles", Signing).
 */

export const SIGNATURES = '.signatures.json';

/** RFC 7518 §3.1, of those that OPA signs with: what a holder of the public key cannot make itself. */
export const SIGNATURE_ALGORITHMS = [
	'RS256',
	'RS384',
	'RS512',
	'PS256',
	'PS384',
	'PS512',
	'ES256',
	'ES384',
	'ES512',
] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

export interface VerifyKey {
	/** Compared with `kid` of the header, or `keyid` of the payload; a key without one is tried for any. */
	readonly id?: string | undefined;
	readonly algorithm: SignatureAlgorithm;
	readonly key: KeyObject;
}

export interface VerifyRules {
	readonly keys: readonly VerifyKey[];
	/** What `scope` of the payload must be; without it there must be none. */
	readonly scope?: string | undefined;
}

/** Files of an archive by name, without a leading slash. */
export type BundleFiles = ReadonlyMap<string, Buffer>;

const MAX_SIGNATURES = 4 * 1024 * 1024;
/** Of a key id in an error, characters. */
const MOST_OF_ID = 100;
const HASHES: Readonly<Record<string, string>> = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' };
const CURVES: Readonly<Record<string, SignatureAlgorithm>> = {
	prime256v1: 'ES256',
	secp384r1: 'ES384',
	secp521r1: 'ES512',
};

/** Reads a PEM public key. The algorithm of an EC key is that of its curve; that of an RSA key RS256, unless said. Throws Error, in words. */
export function readVerifyKey(pem: string, algorithm?: SignatureAlgorithm, id?: string): VerifyKey {
	let key: KeyObject;
	try {
		if (pem.includes('PRIVATE KEY'))
			throw new Error('a private key stands there: it signs, and is no business of a sidecar');
		key = createPublicKey(pem);
	} catch (error) {
		throw new Error(
			error instanceof Error && error.message.startsWith('a private') ? error.message : 'no PEM public key',
		);
	}
	const curve = key.asymmetricKeyDetails?.namedCurve ?? '';
	const fitting: readonly SignatureAlgorithm[] =
		key.asymmetricKeyType === 'rsa'
			? SIGNATURE_ALGORITHMS.filter(name => !name.startsWith('ES'))
			: key.asymmetricKeyType === 'ec' && CURVES[curve] !== undefined
				? [CURVES[curve]]
				: [];
	const chosen = algorithm ?? fitting[0];
	if (chosen === undefined || !fitting.includes(chosen))
		throw new Error(`the key is not one for ${algorithm ?? SIGNATURE_ALGORITHMS.join(', ')}`);
	if (key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048)
		throw new Error('the RSA key is shorter than 2048 bits');
	return { key, algorithm: chosen, ...(id === undefined ? {} : { id }) };
}

/** Undefined when the archive is what was signed, or neither signed nor to be; else what is wrong. */
export function signatureProblem(files: BundleFiles, rules: VerifyRules | undefined): string | undefined {
	const text = files.get(SIGNATURES);
	if (rules === undefined)
		return text === undefined ? undefined : 'the bundle is signed, and `verify` names no key to judge it by';
	if (text === undefined) return 'the bundle is not signed, and `verify` wants it to be';
	const token = onlyToken(text);
	if ('broken' in token) return token.broken;
	const claims = verified(token.token, rules);
	if ('broken' in claims) return claims.broken;
	if (claims.scope !== (rules.scope ?? ''))
		return rules.scope === undefined
			? 'its signature has a scope, and `verify` names none'
			: `its signature is not of the scope ${rules.scope}`;
	return fileProblem(files, claims.files);
}

interface Broken {
	readonly broken: string;
}

function onlyToken(text: Buffer): { readonly token: string } | Broken {
	if (text.length > MAX_SIGNATURES) return { broken: `${SIGNATURES} is larger than 4 MiB` };
	const tokens: unknown = objectOf(text)?.['signatures'];
	if (!Array.isArray(tokens)) return { broken: `${SIGNATURES} is malformed` };
	const [token, ...others] = tokens as readonly unknown[];
	// Several would leave it open whose word counts.
	if (others.length > 0 || typeof token !== 'string') return { broken: `${SIGNATURES} has not exactly one signature` };
	return { token };
}

/** A stranger's text: a few characters of it. */
const named = (id: unknown): string =>
	typeof id === 'string' ? `key id ${JSON.stringify(id.slice(0, MOST_OF_ID))}` : 'it has no key id';

interface Claims {
	readonly files: readonly unknown[];
	readonly scope: unknown;
}

function verified(token: string, { keys }: VerifyRules): Claims | Broken {
	const [, head = '', body = '', signature = ''] =
		/^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/.exec(token) ?? [];
	const header = objectOf(Buffer.from(head, 'base64url'));
	const payload = objectOf(Buffer.from(body, 'base64url'));
	if (header === undefined || payload === undefined) return { broken: 'its signature is no JWT' };
	// `crit` says that there is something which must be understood (RFC 7515 §4.1.11).
	if ('crit' in header || 'b64' in header) return { broken: 'its signature has an extension that is not known' };
	const id = header['kid'] ?? payload['keyid'];
	const candidates = keys.filter(key => key.id === undefined || key.id === id);
	if (candidates.length === 0)
		return { broken: `it is signed with a key that \`verify\` does not name (${named(id)})` };
	const fitting = candidates.filter(({ algorithm }) => algorithm === header['alg']);
	if (fitting.length === 0)
		return { broken: `the algorithm of its signature is not that of the key (${candidates[0]?.algorithm})` };
	const signed = Buffer.from(`${head}.${body}`);
	if (!fitting.some(key => holds(key, signed, Buffer.from(signature, 'base64url'))))
		return { broken: 'its signature is not good' };
	const { files, scope = '' } = payload;
	return Array.isArray(files) ? { files, scope } : { broken: 'its signature lists no files' };
}

function holds({ algorithm, key }: VerifyKey, signed: Buffer, signature: Buffer): boolean {
	const hash = `sha${algorithm.slice(2)}`;
	if (algorithm.startsWith('ES')) return verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
	// RFC 7518 §3.5: the salt is as long as the hash.
	if (algorithm.startsWith('PS'))
		return verify(
			hash,
			signed,
			{ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(algorithm.slice(2)) / 8 },
			signature,
		);
	return verify(hash, signed, key, signature);
}

/** What is listed and what is there must be the same, and each file be what was signed. */
function fileProblem(files: BundleFiles, listed: readonly unknown[]): string | undefined {
	const left = new Set([...files.keys()].filter(name => name !== SIGNATURES));
	for (const entry of listed) {
		const { name, hash, algorithm }: Readonly<Record<string, unknown>> = isObject(entry) ? entry : {};
		if (typeof name !== 'string' || typeof hash !== 'string') return 'its signature lists a file without name or hash';
		const digest = HASHES[String(algorithm)];
		if (digest === undefined) return `the hash of ${name} is of an algorithm that is not known`;
		const clean = name.replace(/^\/+/, '');
		const bytes = files.get(clean);
		if (bytes === undefined || !left.delete(clean))
			return `its signature lists ${name}, which the bundle does not have`;
		const found = hashOf(clean, bytes, digest);
		if (found === undefined) return `${name} is no JSON that everybody reads in the same way`;
		const wanted = Buffer.from(hash, 'hex');
		if (wanted.length !== found.length || !timingSafeEqual(wanted, found)) return `${name} is not what was signed`;
	}
	const [extra] = left;
	return extra === undefined ? undefined : `the bundle has ${extra}, which was not signed`;
}

/** Documents are hashed as what they say, everything else as it stands. */
export function hashOf(name: string, bytes: Buffer, digest: string): Buffer | undefined {
	const base = name.slice(name.lastIndexOf('/') + 1);
	const text = base === 'data.json' || base === '.manifest' ? canonicalJson(bytes) : bytes;
	return text === undefined ? undefined : createHash(digest).update(text).digest();
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

function objectOf(text: Buffer): Readonly<Record<string, unknown>> | undefined {
	try {
		const value: unknown = JSON.parse(text.toString('utf8'));
		return isObject(value) ? value : undefined;
	} catch {
		return undefined;
	}
}
