import { isCritical, KEY_USAGE, OID } from '../formats/der-certificate.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import type { SpiffeId } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';
import { findPath, type When } from './path.ts';
import { type Certificate, openCertificate, type TrustBundles } from './trust.ts';

/**
 * The rules by which a peer's X.509-SVID is judged (X509-SVID.md §§2 to 5, RFC 5280 §6): pure, and the same for
 * agents, operators, upstreams and Sallyport's own SVID. What breaks a rule is refused with the rule's name.
 */

/** Certificates that a peer may show, the leaf included. */
const MAX_CHAIN = 10;
/** An id becomes a list of its prefixes in every input; deeper ids would make that list the bulk of it. */
export const MAX_SEGMENTS = 64;

/** Critical extensions of a leaf that are acted on here. */
const UNDERSTOOD_IN_LEAF: ReadonlySet<string> = new Set([
	OID.basicConstraints,
	OID.keyUsage,
	OID.extendedKeyUsage,
	OID.subjectAltName,
	OID.certificatePolicies,
]);

/** What a judged SVID proves. */
export interface SvidFacts {
	readonly spiffeId: SpiffeId;
	/** From when on it proves it: the latest beginning of its path, with the skew; milliseconds since the epoch. */
	readonly notBefore: number;
	/** Until when: the earliest end of its path, with the skew. */
	readonly notAfter: number;
	/** Upper-case hex. */
	readonly serial: string;
	/** The intermediate CAs that the path went over. */
	readonly intermediates: readonly Certificate[];
}

/**
 * Judges a chain, DER, leaf first; what follows the leaf may be in any order. The CAs are those of the trust domain
 * that the leaf itself names, and no others. `known` are intermediates that were not shown but may be used.
 */
export function judgeSvid(
	chain: readonly Buffer[],
	bundles: TrustBundles,
	when: When,
	known: readonly Certificate[] = [],
): SvidFacts | Refused {
	const [leafDer, ...rest] = chain;
	if (leafDer === undefined) return refused('identity_missing', 'no certificate was shown');
	if (chain.length > MAX_CHAIN) return invalid(`it came with more than ${MAX_CHAIN - 1} other certificates`);
	const leaf = openCertificate(leafDer);
	if ('broken' in leaf) return invalid(`the certificate cannot be read: ${leaf.broken}`);

	const spiffeId = idOf(leaf);
	if ('cause' in spiffeId) return spiffeId;
	const broken = leafProblem(leaf);
	if (broken !== undefined) return invalid(broken);
	const bundle = bundles.get(spiffeId.trustDomain);
	if (bundle === undefined) return invalid(`there is no trust bundle for its trust domain ${spiffeId.trustDomain}`);

	const intermediates: Certificate[] = [];
	for (const der of rest) {
		const certificate = openCertificate(der);
		if ('broken' in certificate) return invalid(`a certificate of its chain cannot be read: ${certificate.broken}`);
		intermediates.push(certificate);
	}
	const path = findPath(leaf, [...intermediates, ...known], bundle.anchors, when);
	if ('cause' in path) return path;
	return {
		spiffeId,
		notBefore: Math.max(...path.map(({ facts }) => facts.notBefore)) - when.skew,
		notAfter: Math.min(...path.map(({ facts }) => facts.notAfter)) + when.skew,
		serial: leaf.facts.serial,
		intermediates: path.slice(1, -1),
	};
}

const invalid = (rule: string): Refused => refused('identity_invalid', rule);

/** Exactly one URI, and it is the SPIFFE ID of a workload (X509-SVID.md §2, §5.2; SPIFFE-ID.md §2). */
function idOf({ facts }: Certificate): SpiffeId | Refused {
	const uris = facts.names.filter(({ kind }) => kind === 'uri');
	const [uri] = uris;
	if (uri === undefined) return invalid('it has no URI name (a SPIFFE ID)');
	if (uris.length > 1) return invalid(`it has ${uris.length} URI names; an SVID has exactly one`);
	const id = parseSpiffeId(uri.value);
	if ('broken' in id) return invalid(`its URI name is not a SPIFFE ID: ${id.broken}`);
	if (id.path === '') return invalid('its SPIFFE ID has no path: it names a trust domain, not a workload');
	if (id.segments.length > MAX_SEGMENTS) return invalid(`its SPIFFE ID has more than ${MAX_SEGMENTS} path segments`);
	return id;
}

/** What a leaf must and must not be (X509-SVID.md §4.1 to §4.4). */
function leafProblem({ facts }: Certificate): string | undefined {
	if (facts.version !== 3) return 'it is not an X.509 version 3 certificate';
	const unknown = facts.extensions.find(({ oid, critical }) => critical && !UNDERSTOOD_IN_LEAF.has(oid));
	if (unknown !== undefined) return `its critical extension ${unknown.oid} is not understood`;
	if (facts.basicConstraints?.ca === true) return 'it is a CA certificate (basicConstraints cA)';
	if (facts.basicConstraints?.pathLength !== undefined) return 'it has a path length, but is no CA';
	// X509-SVID.md §3.1, RFC 5280 §4.1.2.6.
	if (facts.subjectEmpty && !isCritical(facts, OID.subjectAltName))
		return 'it has no subject, and its names are not critical';
	const usage = facts.keyUsage;
	if (usage === undefined) return 'it has no key usage';
	if (usage.has(KEY_USAGE.keyCertSign)) return 'its key usage has keyCertSign';
	if (usage.has(KEY_USAGE.cRLSign)) return 'its key usage has cRLSign';
	if (!usage.has(KEY_USAGE.digitalSignature)) return 'its key usage has no digitalSignature';
	if (!isCritical(facts, OID.keyUsage)) return 'its key usage is not critical';
	const purposes = facts.extendedKeyUsage;
	if (purposes !== undefined) {
		if (!purposes.includes(OID.clientAuth)) return 'its extended key usage has no clientAuth';
		if (!purposes.includes(OID.serverAuth)) return 'its extended key usage has no serverAuth';
	}
	return undefined;
}
