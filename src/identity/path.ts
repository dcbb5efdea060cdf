import { type CertificateFacts, isCritical, KEY_USAGE, OID } from '../formats/der-certificate.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import { type Refused, refused } from '../model/cause.ts';
import { constraintProblem } from './name-constraints.ts';
import type { Certificate } from './trust.ts';

/** Certificates between a leaf and an anchor, the anchor included. */
const MAX_PATH = 8;
/** Signatures that one judgement checks: names can be made so that very many paths seem possible. */
const MAX_SIGNATURES = 32;

/** When a judgement happens: milliseconds since the epoch, and how far certificates may be from their validity. */
export interface When {
	readonly now: number;
	readonly skew: number;
}

/** Critical extensions that are acted on here. Anything else critical refuses (RFC 5280 §4.2). */
const UNDERSTOOD_IN_CA: ReadonlySet<string> = new Set([
	OID.basicConstraints,
	OID.keyUsage,
	OID.extendedKeyUsage,
	OID.subjectAltName,
	OID.nameConstraints,
	// Without a policy that is asked for it restricts nothing (§6.1.1 d).
	OID.certificatePolicies,
]);

/** Signature algorithms that are accepted, and the type of key that each is made with. */
const SIGNATURE_ALGORITHMS: ReadonlyMap<string, 'ec' | 'rsa' | 'ed25519'> = new Map([
	['1.2.840.10045.4.3.2', 'ec'],
	['1.2.840.10045.4.3.3', 'ec'],
	['1.2.840.10045.4.3.4', 'ec'],
	[OID.rsaPss, 'rsa'],
	['1.2.840.113549.1.1.11', 'rsa'],
	['1.2.840.113549.1.1.12', 'rsa'],
	['1.2.840.113549.1.1.13', 'rsa'],
	['1.3.101.112', 'ed25519'],
]);

/** SHA-256, SHA-384 and SHA-512, where the algorithm does not say it (RFC 4055 §2.1). */
const HASHES: ReadonlySet<string> = new Set([
	'2.16.840.1.101.3.4.2.1',
	'2.16.840.1.101.3.4.2.2',
	'2.16.840.1.101.3.4.2.3',
]);

const CURVES: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const MIN_RSA_BITS = 2048;
/** Checking a signature of a longer one would hold up everybody else. */
const MAX_RSA_BITS = 8192;
/** With an exponent of one a signature is the message. */
const MIN_RSA_EXPONENT = 3n;

/**
 * Finds a path from the leaf over the intermediates to one of the anchors and validates it (RFC 5280 §6.1), each
 * signature included. The path, leaf first, anchor last; or the rule that the last tried path broke.
 */
export function findPath(
	leaf: Certificate,
	intermediates: readonly Certificate[],
	anchors: readonly Certificate[],
	when: When,
): readonly Certificate[] | Refused {
	let signatures = 0;
	let problem = refused('identity_invalid', 'it was not issued by a CA of its trust domain');

	/** Whether the last of the path was issued by this one, as far as the two alone tell. */
	const issued = (path: readonly Certificate[], subject: Certificate, issuer: Certificate): boolean => {
		if (!subject.facts.issuer.equals(issuer.facts.subject)) return false;
		if (signatures === MAX_SIGNATURES) {
			problem = refused('identity_invalid', `its chain needs more than ${MAX_SIGNATURES} signatures to be checked`);
			return false;
		}
		// What the rules say of the two comes first: OpenSSL does not say why, and how long it takes with an odd key is not
		// to be found out.
		const broken =
			placed(path.length - 1, signatureProblem(subject)) ??
			placed(path.length, keyProblem(issuer) ?? caProblem(issuer));
		if (broken !== undefined) {
			problem = broken;
			return false;
		}
		if (ofOneKind(subject, issuer)) {
			if (!subject.x509.checkIssued(issuer.x509)) return false;
			signatures += 1;
			if (verifies(subject, issuer)) return true;
		}
		problem = refused('identity_invalid', 'a signature in its chain does not verify');
		return false;
	};

	const extend = (path: readonly Certificate[]): readonly Certificate[] | undefined => {
		const last = path.at(-1);
		if (last === undefined) return undefined;
		for (const anchor of anchors) {
			if (!issued(path, last, anchor)) continue;
			const whole = [...path, anchor];
			const broken = pathProblem(whole, when);
			if (broken === undefined) return whole;
			problem = broken;
		}
		if (path.length > MAX_PATH - 1) return undefined;
		for (const candidate of intermediates) {
			if (path.includes(candidate) || !issued(path, last, candidate)) continue;
			const found = extend([...path, candidate]);
			if (found !== undefined) return found;
		}
		return undefined;
	};

	return extend([leaf]) ?? problem;
}

/** Whether the signature can have been made with the issuer's key at all. */
const ofOneKind = ({ facts }: Certificate, { x509 }: Certificate): boolean =>
	SIGNATURE_ALGORITHMS.get(facts.signatureAlgorithm) === x509.publicKey.asymmetricKeyType?.replace('rsa-pss', 'rsa');

function verifies({ x509 }: Certificate, issuer: Certificate): boolean {
	try {
		return x509.verify(issuer.x509.publicKey);
	} catch {
		return false;
	}
}

/** The rule that a path of good pairs breaks as a whole. Time comes last: what is wrong anyway is not just late. */
function pathProblem(path: readonly Certificate[], when: When): Refused | undefined {
	let below = 0;
	for (const [index, certificate] of path.entries()) {
		if (index === 0) {
			const weak = placed(index, keyProblem(certificate));
			if (weak !== undefined) return weak;
			continue;
		}
		const { pathLength } = certificate.facts.basicConstraints ?? {};
		if (pathLength !== undefined && below > pathLength)
			return placed(index, 'there are more CAs below it than its path length allows');
		for (const [place, lower] of path.slice(0, index).entries()) {
			if (place > 0 && selfIssued(lower)) continue;
			const outside = constraintProblem(certificate.facts, lower.facts);
			if (outside !== undefined) return refused('identity_invalid', outside);
		}
		if (!selfIssued(certificate)) below += 1;
	}
	for (const [index, certificate] of path.entries()) {
		const late = validityProblem(certificate, when);
		if (late !== undefined) return refused('identity_expired', `${placeName(index)}: ${late}`);
	}
	return undefined;
}

const placed = (index: number, problem: string | undefined): Refused | undefined =>
	problem === undefined ? undefined : refused('identity_invalid', `${placeName(index)}: ${problem}`);
const placeName = (index: number): string => (index === 0 ? 'certificate' : `issuing CA ${index}`);
const selfIssued = ({ facts }: Certificate): boolean => facts.issuer.equals(facts.subject);

/** What a CA breaks by itself, wherever it stands. */
function caProblem({ facts }: Certificate): string | undefined {
	const unknown = facts.extensions.find(({ oid, critical }) => critical && !UNDERSTOOD_IN_CA.has(oid));
	if (unknown !== undefined) return `the critical extension ${unknown.oid} is not understood`;
	if (facts.version !== 3 || facts.basicConstraints?.ca !== true) return 'it is not a CA (basicConstraints)';
	if (facts.keyUsage?.has(KEY_USAGE.keyCertSign) !== true) return 'its key usage has no keyCertSign';
	const wrongId = signingIdProblem(facts);
	if (wrongId !== undefined) return wrongId;
	const purposes = facts.extendedKeyUsage;
	if (purposes !== undefined && !purposes.includes(OID.anyExtendedKeyUsage)) {
		if (!purposes.includes(OID.serverAuth) || !purposes.includes(OID.clientAuth)) {
			return 'its extended key usage has not both serverAuth and clientAuth';
		}
	}
	return undefined;
}

/**
 * A CA need be no SVID. One that is, is an SVID of a trust domain: one SPIFFE ID without a path, and the key usage of
 * every SVID (X509-SVID.md §3.2, §4.3).
 */
function signingIdProblem(facts: CertificateFacts): string | undefined {
	const [first, second] = facts.names.filter(({ kind, value }) => kind === 'uri' && /^spiffe:/i.test(value));
	if (first === undefined) return undefined;
	if (second !== undefined) return 'it has more than one SPIFFE ID';
	const id = parseSpiffeId(first.value);
	if ('broken' in id) return `its URI name is not a SPIFFE ID: ${id.broken}`;
	if (id.path !== '') return 'its SPIFFE ID has a path: it names a workload, which issues nothing';
	return isCritical(facts, OID.keyUsage) ? undefined : 'its key usage is not critical';
}

/** Of whatever is not an anchor: an anchor's own signature proves nothing and is not looked at. */
function signatureProblem({ facts: { signatureAlgorithm, pssHash } }: Certificate): string | undefined {
	if (!SIGNATURE_ALGORITHMS.has(signatureAlgorithm))
		return `its signature algorithm ${signatureAlgorithm} is not accepted`;
	return pssHash === undefined || HASHES.has(pssHash)
		? undefined
		: `its signature is made with a hash that is not accepted (${pssHash})`;
}

function keyProblem({ x509 }: Certificate): string | undefined {
	const { asymmetricKeyType: type, asymmetricKeyDetails: details } = x509.publicKey;
	if (type === 'ed25519') return undefined;
	if (type === 'ec') return CURVES.has(details?.namedCurve) ? undefined : 'its key is on a curve that is not accepted';
	if (type !== 'rsa' && type !== 'rsa-pss') return 'its key is of a type that is not accepted';
	const bits = details?.modulusLength ?? 0;
	if (bits < MIN_RSA_BITS) return `its RSA key is shorter than ${MIN_RSA_BITS} bits`;
	if (bits > MAX_RSA_BITS) return `its RSA key is longer than ${MAX_RSA_BITS} bits`;
	return (details?.publicExponent ?? 0n) < MIN_RSA_EXPONENT ? 'its RSA key has a bad exponent' : undefined;
}

function validityProblem({ facts }: Certificate, { now, skew }: When): string | undefined {
	if (now < facts.notBefore - skew) return `it is not valid before ${new Date(facts.notBefore).toISOString()}`;
	if (now > facts.notAfter + skew) return `it expired at ${new Date(facts.notAfter).toISOString()}`;
	return undefined;
}
