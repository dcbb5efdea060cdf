import { createPrivateKey, type KeyObject } from 'node:crypto';
import { parseSpiffeId } from '../../formats/spiffe-id.ts';
import type { When } from '../path.ts';
import { checkSvid, type Svid } from '../svid.ts';
import { type Broken, readDerCertificates, type TrustBundle, trustBundle } from '../trust.ts';
import type { X509Message, X509SvidMessage } from './workload-messages.ts';

/** Which of several SVIDs is Sallyport's; the first when undefined (SPIFFE_Workload_API.md §5.3). */
export type Choice = { readonly hint: string } | { readonly id: string } | undefined;

/** Why an answer leaves Sallyport without an SVID: it says so itself. */
export interface Withdrawn {
	readonly missing: string;
	/** More of it, for operators. */
	readonly details: string;
}

/** The SVID of an answer: in force from now on, none any more, or not to be taken. */
export function svidOf(
	{ svids }: X509Message,
	choice: Choice,
	trustDomain: string,
	when: When,
): Svid | Withdrawn | Broken {
	const [first] = svids;
	if (first === undefined)
		return { missing: 'the Workload API gives Sallyport no SVID', details: 'the answer holds no SVID' };
	const chosen = choose(svids, choice);
	if (chosen === undefined) {
		const there = svids.map(({ spiffeId, hint }) => (hint === '' ? spiffeId : `${spiffeId} (hint ${hint})`));
		return {
			missing: 'the Workload API does not give Sallyport the SVID that the configuration chooses',
			details: `none of its ${svids.length} SVIDs is chosen: ${there.join(', ').slice(0, 1000)}`,
		};
	}
	// An empty bundle makes every SVID of the domain invalid, this one too: that is a statement, not damage.
	if (chosen.bundle.length === 0) {
		return {
			missing: "the trust bundle of Sallyport's trust domain is empty",
			details: `the trust bundle of ${trustDomain} is empty, so every SVID of it is invalid`,
		};
	}
	return open(chosen, trustDomain, when);
}

function choose(svids: readonly X509SvidMessage[], choice: Choice): X509SvidMessage | undefined {
	if (choice === undefined) return svids[0];
	return 'hint' in choice
		? svids.find(({ hint }) => hint === choice.hint)
		: svids.find(({ spiffeId }) => spiffeId === choice.id);
}

function open({ spiffeId, chain, key, bundle }: X509SvidMessage, trustDomain: string, when: When): Svid | Broken {
	const anchors = readBundle(trustDomain, bundle);
	if ('broken' in anchors) return { broken: `trust bundle: ${anchors.broken}` };
	const certificates = readDerCertificates(chain);
	if ('broken' in certificates) return { broken: `certificate: ${certificates.broken}` };
	const privateKey = readKey(key);
	if (privateKey === undefined) return { broken: 'key: it is not an unencrypted private key in PKCS#8' };
	const svid = checkSvid({ chain: certificates, key: privateKey, bundle: anchors }, trustDomain, when);
	if ('broken' in svid) return svid;
	if (svid.spiffeId.id !== spiffeId)
		return { broken: `certificate: it is of ${svid.spiffeId.id}; the Workload API says it is another's` };
	return svid;
}

function readKey(der: Buffer): KeyObject | undefined {
	try {
		return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
	} catch {
		return undefined;
	}
}

function readBundle(trustDomain: string, der: Buffer): TrustBundle | Broken {
	const anchors = readDerCertificates(der);
	return 'broken' in anchors ? anchors : trustBundle(trustDomain, anchors);
}

/** Bundles of other domains as an answer gives them, and what is wrong with those that cannot be read. */
export interface Federated {
	readonly bundles: ReadonlyMap<string, TrustBundle>;
	readonly problems: ReadonlyMap<string, string>;
}

/**
 * Each for its own domain. One that cannot be read keeps what was in force for that domain alone: it is somebody else's,
 * and must not keep Sallyport's own SVID from being renewed. One that is not there any more is gone.
 */
export function federatedOf(
	{ federated }: X509Message,
	trustDomain: string,
	before: ReadonlyMap<string, TrustBundle>,
): Federated | Broken {
	const bundles = new Map<string, TrustBundle>();
	const problems = new Map<string, string>();
	for (const [key, der] of federated) {
		const domain = domainOf(key);
		if (domain === undefined) return { broken: 'federated_bundles: a key that is no SPIFFE ID of a trust domain' };
		// Its bundle came with the SVID; a second one could only say something else.
		if (domain === trustDomain) return { broken: 'federated_bundles: the own trust domain is among them' };
		const bundle = readBundle(domain, der);
		if ('broken' in bundle) problems.set(domain, bundle.broken);
		const kept = 'broken' in bundle ? before.get(domain) : bundle;
		if (kept !== undefined) bundles.set(domain, kept);
	}
	return { bundles, problems };
}

/** `spiffe://example.org` names the trust domain example.org. */
export function domainOf(key: string): string | undefined {
	const id = parseSpiffeId(key);
	return 'broken' in id || id.path !== '' ? undefined : id.trustDomain;
}
