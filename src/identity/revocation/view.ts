import { compilePattern, type IdMatcher } from '../../formats/spiffe-pattern.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Revocable } from '../../model/ports.ts';
import type { Revocation } from './entry.ts';
import { serialText } from './subject.ts';

/** The words are from a closed set: agents are told them, and records of connections coalesce by them. */
const BY_ID = refused('revoked', 'by its SPIFFE ID');
const BY_PATTERN = refused('revoked', 'by a pattern of SPIFFE IDs');
const BY_SERIAL = refused('revoked', 'by the serial of its certificate');
const BY_TOKEN = refused('revoked', 'by its token');

/** What is in force at one time, compiled: ids, serials and tokens by one look-up each, patterns one after the other; each identity once. */
export class RevocationView {
	readonly #ids = new Set<string>();
	readonly #serials = new Set<string>();
	readonly #tokens = new Set<string>();
	readonly #patterns: readonly IdMatcher[];
	readonly #empty: boolean;
	/** Who was asked about before: a view never changes, and the same identities call again and again. */
	readonly #known = new WeakMap<Revocable, Refused | false>();

	constructor(revocations: Iterable<Revocation>) {
		const patterns = new Set<string>();
		for (const { kind, what } of revocations) {
			if (kind === 'id') this.#ids.add(what);
			else if (kind === 'pattern') patterns.add(what);
			else if (kind === 'serial') this.#serials.add(what.slice('serial:'.length));
			else this.#tokens.add(what.slice('token:'.length));
		}
		this.#patterns = [...patterns].map(compilePattern);
		this.#empty = this.#ids.size + this.#serials.size + this.#tokens.size + patterns.size === 0;
	}

	token(fingerprint: string): boolean {
		return this.#tokens.has(fingerprint);
	}

	revoked(who: Revocable): Refused | undefined {
		if (this.#empty) return undefined;
		let known = this.#known.get(who);
		if (known === undefined) {
			known = this.#find(who) ?? false;
			this.#known.set(who, known);
		}
		return known === false ? undefined : known;
	}

	#find({ agent: { id }, serial, token }: Revocable): Refused | undefined {
		if (this.#ids.has(id)) return BY_ID;
		if (serial !== undefined && this.#serials.size > 0 && this.#serials.has(serialText(serial))) return BY_SERIAL;
		if (token !== undefined && this.#tokens.has(token)) return BY_TOKEN;
		for (const matches of this.#patterns) if (matches(id)) return BY_PATTERN;
		return undefined;
	}
}
