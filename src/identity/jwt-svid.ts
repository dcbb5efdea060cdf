import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { scanJson } from '../formats/json.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import type { SpiffeId } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';
import type { When } from './path.ts';
import { MAX_SEGMENTS } from './rules.ts';
import type { JwtAuthorities } from './trust.ts';

/** What a JWT-SVID that keeps every rule says. */
export interface JwtSvidFacts {
	readonly spiffeId: SpiffeId;
	/** `exp`, milliseconds since the epoch. */
	readonly notAfter: number;
	/** The key that it was signed with: good for as long as it is the domain's key of this id. */
	readonly keyId: string;
	readonly key: KeyObject;
}

export interface JwtSvidRules {
	/** What Sallyport is called: one of these must be in `aud`. */
	readonly audience: readonly string[];
	/** Keys of one trust domain; undefined when it has none. */
	authorities(trustDomain: string): JwtAuthorities | undefined;
}

/** Longest JWT that is looked at, characters. SPIRE's are below 1000. */
export const MAX_JWT = 8 * 1024;
const MAX_KEY_ID = 256;
const MAX_AUDIENCES = 64;
/** Seconds; a Date holds no more. */
const MAX_TIME = 8.64e12;
/** Any other parameter refuses the token, `crit`, `jwk`, `jku` and `x5u` among them (JWT-SVID.md §2). */
const PARAMETERS: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);

interface Algorithm {
	readonly hash: 'sha256' | 'sha384' | 'sha512';
	/** What a key must be to be used so: a token does not choose what a key is for. */
	readonly key: 'rsa' | 'prime256v1' | 'secp384r1' | 'secp521r1';
	/** Bytes of a signature, where the algorithm fixes it (RFC 7518 §3.4). */
	readonly bytes?: number;
	readonly options: Omit<VerifyKeyObjectInput, 'key'>;
}

const PKCS1 = { padding: constants.RSA_PKCS1_PADDING };
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const ECDSA = { dsaEncoding: 'ieee-p1363' } as const;

/** JWT-SVID.md §2.1. Neither `none` nor anything with a shared secret is among them. */
const ALGORITHMS: ReadonlyMap<unknown, Algorithm> = new Map<unknown, Algorithm>([
	['RS256', { hash: 'sha256', key: 'rsa', options: PKCS1 }],
	['RS384', { hash: 'sha384', key: 'rsa', options: PKCS1 }],
	['RS512', { hash: 'sha512', key: 'rsa', options: PKCS1 }],
	['PS256', { hash: 'sha256', key: 'rsa', options: PSS }],
	['PS384', { hash: 'sha384', key: 'rsa', options: PSS }],
	['PS512', { hash: 'sha512', key: 'rsa', options: PSS }],
	['ES256', { hash: 'sha256', key: 'prime256v1', bytes: 64, options: ECDSA }],
	['ES384', { hash: 'sha384', key: 'secp384r1', bytes: 96, options: ECDSA }],
	['ES512', { hash: 'sha512', key: 'secp521r1', bytes: 132, options: ECDSA }],
]);

type Members = Readonly<Record<string, unknown>>;

const bad = (rule: string): Refused => refused('identity_invalid', rule);

/**
 * Judges a JWT-SVID (JWT-SVID.md; RFC 7515 §5.2, RFC 7519 §7.2): compact, signed by a key of the trust domain that it
 * names, for us, not expired. Texts of refusals hold nothing of the token.
 */
export function judgeJwtSvid(token: string, rules: JwtSvidRules, when: When): JwtSvidFacts | Refused {
	if (token.length > MAX_JWT) return bad('the JWT is too long');
	const parts = token.split('.', 4);
	const [header = '', payload = '', signature = ''] = parts;
	if (parts.length !== 3) return bad('it is no JWT: expected three parts');
	const signed = bytesOf(signature);
	const joseHeader = membersOf(header);
	const claims = membersOf(payload);
	if (signed === undefined || joseHeader === undefined || claims === undefined)
		return bad('it is no JWT: a part of it cannot be read');

	for (const name of Object.keys(joseHeader))
		if (!PARAMETERS.has(name)) return bad('the header of the JWT has a parameter that a JWT-SVID may not have');
	const { alg, kid, typ } = joseHeader;
	const algorithm = ALGORITHMS.get(alg);
	if (algorithm === undefined) return bad('the algorithm is none of a JWT-SVID');
	if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE') return bad('its `typ` is neither JWT nor JOSE');
	if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KEY_ID) return bad('it names no key');

	const claimed = judgeClaims(claims, rules.audience, when);
	if ('cause' in claimed) return claimed;
	const authorities = rules.authorities(claimed.spiffeId.trustDomain);
	if (authorities === undefined || authorities.size === 0)
		return bad('its trust domain has no keys for JWT-SVIDs here');
	const key = authorities.get(kid);
	if (key === undefined) return bad('it names a key that its trust domain does not have');
	const kind = key.asymmetricKeyType === 'ec' ? key.asymmetricKeyDetails?.namedCurve : key.asymmetricKeyType;
	if (key.type !== 'public' || kind !== algorithm.key) return bad('the key that it names is not for its algorithm');
	if (algorithm.bytes !== undefined && signed.length !== algorithm.bytes) return bad('its signature is wrong');
	const text = Buffer.from(token.slice(0, header.length + 1 + payload.length), 'latin1');
	if (!verify(algorithm.hash, text, { key, ...algorithm.options }, signed)) return bad('its signature is wrong');
	return { ...claimed, keyId: kid, key };
}

function judgeClaims(
	{ sub, aud, exp, nbf }: Members,
	audience: readonly string[],
	{ now, skew }: When,
): Pick<JwtSvidFacts, 'spiffeId' | 'notAfter'> | Refused {
	if (typeof sub !== 'string') return bad('it has no `sub`');
	const spiffeId = parseSpiffeId(sub);
	if ('broken' in spiffeId) return bad('its `sub` is no SPIFFE ID');
	if (spiffeId.path === '') return bad('its `sub` names a trust domain and no workload');
	if (spiffeId.segments.length > MAX_SEGMENTS) return bad(`its \`sub\` has more than ${MAX_SEGMENTS} path segments`);
	const meant: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
	if (meant.length === 0 || meant.length > MAX_AUDIENCES || !meant.every(one => typeof one === 'string'))
		return bad('it has no `aud`');
	if (!meant.some(one => audience.includes(one as string))) return bad('it is for another audience');
	if (typeof exp !== 'number' || !(exp > 0 && exp < MAX_TIME)) return bad('it has no `exp`');
	if (nbf !== undefined && typeof nbf !== 'number') return bad('its `nbf` is no time');
	const notAfter = exp * 1000;
	if (notAfter + skew <= now) return refused('identity_expired', 'the JWT-SVID has expired');
	if (nbf !== undefined && nbf * 1000 - skew > now) return bad('it is not valid yet');
	return { spiffeId, notAfter };
}

/** Base64url without padding, in its one canonical form (RFC 7515 §2, RFC 4648 §3.5). */
function bytesOf(part: string): Buffer | undefined {
	const bytes = Buffer.from(part, 'base64url');
	return part !== '' && bytes.toString('base64url') === part ? bytes : undefined;
}

function membersOf(part: string): Members | undefined {
	const bytes = bytesOf(part);
	if (bytes === undefined || scanJson(bytes, { depth: 8, bytes: MAX_JWT }) !== undefined) return undefined;
	const value: unknown = JSON.parse(bytes.toString('utf8'));
	return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
}
