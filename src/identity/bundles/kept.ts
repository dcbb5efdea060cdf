import type { Clock } from '../../model/ports.ts';
import type { Broken } from '../trust.ts';
import type { BundleKind, BundleNews, BundleStatus, DomainBundle } from './bundle.ts';

export interface KeptBundleDeps {
	readonly clock: Clock;
	/** Told after each look that found something new, the first one too. */
	readonly news: (news: BundleNews) => void;
}

/** The last good bundle of one trust domain, and what became of the last look at its source. In memory only. */
export class KeptBundle {
	readonly #trustDomain: string;
	readonly #kind: BundleKind;
	readonly #from: string;
	readonly #deps: KeptBundleDeps;
	#bundle: DomainBundle | undefined;
	#refreshed: number | undefined;
	#problem: string | undefined;

	constructor(trustDomain: string, kind: BundleKind, from: string, deps: KeptBundleDeps) {
		this.#trustDomain = trustDomain;
		this.#kind = kind;
		this.#from = from;
		this.#deps = deps;
	}

	get bundle(): DomainBundle | undefined {
		return this.#bundle;
	}

	/** What a look found. What is broken leaves the last good one, and is told once. */
	take(read: DomainBundle | Broken): Broken | undefined {
		const before = this.#problem;
		if ('broken' in read) {
			this.#problem = read.broken;
			if (read.broken !== before) this.#deps.news({ trustDomain: this.#trustDomain, broken: read.broken });
			return read;
		}
		const changed = !same(read, this.#bundle);
		this.#problem = undefined;
		this.#refreshed = this.#deps.clock.now();
		this.#bundle = read;
		if (changed || before !== undefined) this.#deps.news({ trustDomain: this.#trustDomain });
		return undefined;
	}

	status(): BundleStatus {
		const bundle = this.#bundle;
		return {
			trustDomain: this.#trustDomain,
			kind: this.#kind,
			from: this.#from,
			...(bundle === undefined ? {} : factsOf(bundle)),
			...(this.#refreshed === undefined ? {} : { refreshed: this.#refreshed }),
			...(this.#problem === undefined ? {} : { problem: this.#problem }),
		};
	}
}

/** What `status` says of a bundle. */
export const factsOf = ({ trust, jwt, sequence }: DomainBundle): Partial<BundleStatus> => ({
	cas: trust.anchors.length,
	jwtKeys: jwt.size,
	revision: trust.revision,
	...(sequence === undefined ? {} : { sequence }),
});

function same(one: DomainBundle, other: DomainBundle | undefined): boolean {
	if (other === undefined || one.trust.revision !== other.trust.revision || one.jwt.size !== other.jwt.size)
		return false;
	return [...one.jwt].every(([id, key]) => {
		const before = other.jwt.get(id);
		return before !== undefined && key.equals(before);
	});
}
