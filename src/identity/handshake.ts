import { hash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type Identity, identity } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';
import { Judged, type Judgement } from './judged.ts';
import type { When } from './path.ts';
import { judgeSvid, type SvidFacts } from './rules.ts';
import type { Certificate, TrustBundles } from './trust.ts';

/** Certificates that are read from a peer at most; the rules refuse far fewer. */
const MAX_READ = 32;
/** Intermediates that are remembered for resumed sessions. */
const MAX_KNOWN = 64;
/** Refused leaves that are remembered. */
const MAX_REFUSED = 1024;
const TIME_ERRORS: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

/**
 * Judges the peers of finished handshakes. One per set of trust bundles: what it remembers ends with them.
 *
 * A resumed session brings the peer's leaf and OpenSSL's old verdict but not the intermediates (tickets do not hold
 * them). It is judged again all the same, with the intermediates over which earlier full handshakes found a path.
 */
export class Handshakes {
	readonly #bundles: TrustBundles;
	readonly #known = new Map<string, Certificate>();
	readonly #judged = new Judged();
	/** Why the last full handshake with a leaf was refused, by the leaf's SHA-256: a resumed session cannot show that again. */
	readonly #refused = new Map<string, Refused>();

	constructor(bundles: TrustBundles) {
		this.#bundles = bundles;
	}

	/** Who the agent at the other end is. Call it once per socket, in `secureConnection`: Node's reading empties the chain. */
	identify(socket: TLSSocket, when: When): Identity | Refused {
		const chain = shownChain(socket);
		const resumed = socket.isSessionReused();
		const leaf = hash('sha256', chain[0] ?? '');
		const before = resumed ? this.#refused.get(leaf) : undefined;
		if (before !== undefined) return before;
		const key = Judged.keyOf(chain, resumed);
		const judgement = this.#judged.find(key, when.now) ?? this.#judge(chain, leaf, resumed, when);
		const refusal = 'cause' in judgement ? judgement : opensslProblem(socket, when);
		if (!resumed) this.#noteRefusal(leaf, refusal);
		if ('cause' in judgement) return judgement;
		if (refusal !== undefined) return refusal;
		for (const certificate of judgement.intermediates) this.#remember(certificate);
		this.#judged.keep(key, judgement);
		return judgement.identity;
	}

	#judge(chain: readonly Buffer[], fingerprint: string, resumed: boolean, when: When): Judgement | Refused {
		const facts = judgeSvid(chain, this.#bundles, when, resumed ? [...this.#known.values()] : []);
		if ('cause' in facts) return facts;
		const { spiffeId, notBefore, notAfter, serial, intermediates } = facts;
		return {
			identity: identity(spiffeId, 'mtls', { notAfter, serial, fingerprint }),
			notBefore,
			notAfter,
			intermediates,
		};
	}

	/** What time alone broke is judged again, whoever shows it. */
	#noteRefusal(leaf: string, refusal: Refused | undefined): void {
		this.#refused.delete(leaf);
		if (refusal?.cause !== 'identity_invalid') return;
		this.#refused.set(leaf, refusal);
		if (this.#refused.size <= MAX_REFUSED) return;
		const [oldest] = this.#refused.keys();
		if (oldest !== undefined) this.#refused.delete(oldest);
	}

	/** The one used last comes last; the one that was not used for longest goes first. */
	#remember(certificate: Certificate): void {
		const { fingerprint256 } = certificate.x509;
		this.#known.delete(fingerprint256);
		this.#known.set(fingerprint256, certificate);
		if (this.#known.size <= MAX_KNOWN) return;
		const [oldest] = this.#known.keys();
		if (oldest !== undefined) this.#known.delete(oldest);
	}
}

/**
 * Judges the SVID of an upstream on the client's side of a full handshake (`rejectUnauthorized: false`, no reuse of
 * sessions): the rules, OpenSSL's verdict, and exactly the expected id.
 */
export function judgeUpstream(
	socket: TLSSocket,
	expected: string,
	bundles: TrustBundles,
	when: When,
): SvidFacts | Refused {
	const facts = judgeSvid(shownChain(socket), bundles, when);
	if ('cause' in facts) return refused('upstream_tls', facts.detail);
	const verdict = opensslProblem(socket, when);
	if (verdict !== undefined) return refused('upstream_tls', verdict.detail);
	if (facts.spiffeId.id !== expected) return refused('upstream_tls', `the upstream is ${facts.spiffeId.id}`);
	return facts;
}

/** DER, leaf first. */
function shownChain(socket: TLSSocket): Buffer[] {
	const chain: Buffer[] = [];
	let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
	while (certificate !== undefined && chain.length < MAX_READ) {
		chain.push(certificate.raw);
		certificate = certificate.issuerCertificate;
	}
	return chain;
}

/**
 * OpenSSL's verdict, which is necessary too. It knows of no skew: where only time is wrong for it, the rules, which
 * judged the whole path and its time with the skew, have the last word.
 */
function opensslProblem(socket: TLSSocket, { skew }: When): Refused | undefined {
	if (socket.authorized) return undefined;
	const code = codeOf(socket.authorizationError);
	if (!TIME_ERRORS.has(code)) return refused('identity_invalid', `TLS does not accept its chain (${code})`);
	return skew > 0 ? undefined : refused('identity_expired', `TLS does not accept its validity (${code})`);
}

/** Node gives a code, or an Error with one. */
function codeOf(error: unknown): string {
	if (typeof error === 'string') return error;
	if (error instanceof Error) return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
	return 'unknown';
}
