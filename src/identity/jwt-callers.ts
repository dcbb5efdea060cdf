import { hash } from 'node:crypto';
import { type Identity, identity } from '../model/agent.ts';
import type { Refused } from '../model/cause.ts';
import { type JwtSvidFacts, judgeJwtSvid, MAX_JWT } from './jwt-svid.ts';
import type { When } from './path.ts';
import type { JwtAuthorities } from './trust.ts';

export interface JwtCallersDeps {
	authorities(trustDomain: string): JwtAuthorities | undefined;
	when(): When;
}

interface Kept {
	readonly facts: JwtSvidFacts;
	readonly identity: Identity;
}

/** JWT-SVIDs that are remembered. */
const MAX_KEPT = 4096;

/**
 * Agents that show a JWT-SVID. One that was found good is remembered by its hash, and is good until it expires and for
 * as long as its trust domain has the very key that it was signed with.
 */
export class JwtCallers {
	readonly #deps: JwtCallersDeps;
	readonly #audience: readonly string[];
	readonly #kept = new Map<string, Kept>();

	constructor(audience: readonly string[], deps: JwtCallersDeps) {
		this.#audience = audience;
		this.#deps = deps;
	}

	/** Who shows it. */
	identify(token: string): Identity | Refused {
		const when = this.#deps.when();
		const key = token.length > MAX_JWT ? '' : hash('sha256', token, 'base64');
		const kept = this.#kept.get(key);
		if (kept !== undefined) {
			if (this.#isGood(kept, when)) return kept.identity;
			this.#kept.delete(key);
		}
		const rules = { audience: this.#audience, authorities: (domain: string) => this.#deps.authorities(domain) };
		const facts = judgeJwtSvid(token, rules, when);
		if ('cause' in facts) return facts;
		const who = identity(facts.spiffeId, 'jwt_svid', { notAfter: facts.notAfter + when.skew });
		this.#kept.set(key, { facts, identity: who });
		const [oldest] = this.#kept.keys();
		if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
		return who;
	}

	/** How many are remembered. */
	get size(): number {
		return this.#kept.size;
	}

	#isGood({ facts: { spiffeId, notAfter, keyId, key } }: Kept, { now, skew }: When): boolean {
		return notAfter + skew > now && this.#deps.authorities(spiffeId.trustDomain)?.get(keyId) === key;
	}
}
