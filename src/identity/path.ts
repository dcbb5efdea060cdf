import { KEY_USAGE, OID } from '../formats/der-certificate.ts';
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

const SIGNATURE_ALGORITHMS: ReadonlySet<string> = new Set([
	'1.2.840.10045.4.3.2',
	'1.2.840.10045.4.3.3',
	'1.2.840.10045.4.3.4',
	'1.2.840.113549.1.1.10',
	'1.2.840.113549.1.1.11',
	'1.2.840.113549.1.1.12',
	'1.2.840.113549.1.1.13',
	'1.3.101.112',
]);

const CURVES: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const MIN_RSA_BITS = 2048;

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

	const issued = (subject: Certificate, issuer: Certificate): boolean => {
		if (!subject.facts.issuer.equals(issuer.facts.subject)) return false;
		if (signatures === MAX_SIGNATURES) {
			problem = refused('identity_invalid', `its chain needs more than ${MAX_SIGNATURES} signatures to be checked`);
			return false;
		}
		// Names and key identifiers first; cheap.
		if (!subject.x509.checkIssued(issuer.x509)) return false;
		signatures += 1;
		if (subject.x509.verify(issuer.x509.publicKey)) return true;
		problem = refused('identity_invalid', 'a signature in its chain does not verify');
		return false;
	};

	const extend = (path: readonly Certificate[]): readonly Certificate[] | undefined => {
		const last = path.at(-1);
		if (last === undefined) return undefined;
		for (const anchor of anchors) {
			if (!issued(last, anchor)) continue;
			const whole = [...path, anchor];
			const broken = pathProblem(whole, when);
			if (broken === undefined) return whole;
			problem = broken;
		}
		if (path.length > MAX_PATH - 1) return undefined;
		for (const candidate of intermediates) {
			if (path.includes(candidate) || !issued(last, candidate)) continue;
			const found = extend([...path, candidate]);
			if (found !== undefined) return found;
		}
		return undefined;
	};

	return extend([leaf]) ?? problem;
}

/** The rule that a path with good signatures breaks. Time comes last: what is wrong anyway is not just late. */
function pathProblem(path: readonly Certificate[], when: When): Refused | undefined {
	let below = 0;
	for (const [index, certificate] of path.entries()) {
		const weak = strengthProblem(certificate, index === path.length - 1);
		if (weak !== undefined) return refused('identity_invalid', `${placeName(index)}: ${weak}`);
		if (index === 0) continue;
		const wrong = caProblem(certificate, below);
		if (wrong !== undefined) return refused('identity_invalid', `${placeName(index)}: ${wrong}`);
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

const placeName = (index: number): string => (index === 0 ? 'certificate' : `issuing CA ${index}`);
const selfIssued = ({ facts }: Certificate): boolean => facts.issuer.equals(facts.subject);

function caProblem({ facts }: Certificate, casBelow: number): string | undefined {
	const unknown = facts.extensions.find(({ oid, critical }) => critical && !UNDERSTOOD_IN_CA.has(oid));
	if (unknown !== undefined) return `the critical extension ${unknown.oid} is not understood`;
	if (facts.version !== 3 || facts.basicConstraints?.ca !== true) return 'it is not a CA (basicConstraints)';
	if (facts.keyUsage?.has(KEY_USAGE.keyCertSign) !== true) return 'its key usage has no keyCertSign';
	const { pathLength } = facts.basicConstraints;
	if (pathLength !== undefined && casBelow > pathLength)
		return 'there are more CAs below it than its path length allows';
	const purposes = facts.extendedKeyUsage;
	if (purposes !== undefined && !purposes.includes(OID.anyExtendedKeyUsage)) {
		if (!purposes.includes(OID.serverAuth) || !purposes.includes(OID.clientAuth)) {
			return 'its extended key usage has not both serverAuth and clientAuth';
		}
	}
	return undefined;
}

/** An anchor's own signature proves nothing and is not looked at. */
function strengthProblem({ facts, x509 }: Certificate, anchor: boolean): string | undefined {
	if (!anchor && !SIGNATURE_ALGORITHMS.has(facts.signatureAlgorithm)) {
		return `its signature algorithm ${facts.signatureAlgorithm} is not accepted`;
	}
	const { asymmetricKeyType: type, asymmetricKeyDetails: details } = x509.publicKey;
	if (type === 'ed25519') return undefined;
	if (type === 'ec') return CURVES.has(details?.namedCurve) ? undefined : 'its key is on a curve that is not accepted';
	if (type === 'rsa' || type === 'rsa-pss') {
		return (details?.modulusLength ?? 0) >= MIN_RSA_BITS
			? undefined
			: `its RSA key is shorter than ${MIN_RSA_BITS} bits`;
	}
	return 'its key is of a type that is not accepted';
}

function validityProblem({ facts }: Certificate, { now, skew }: When): string | undefined {
	if (now < facts.notBefore - skew) return `it is not valid before ${new Date(facts.notBefore).toISOString()}`;
	if (now > facts.notAfter + skew) return `it expired at ${new Date(facts.notAfter).toISOString()}`;
	return undefined;
}
