import type { Clock, State } from '../../model/ports.ts';
import { type Revocation, readRevocation, revocationJson } from './entry.ts';
import type { SubjectKind } from './subject.ts';

/** Where they are kept in the state. */
const SPACE = 'revocations';
/** In force at once. */
const MAX_ENTRIES = 10_000;
/** Every identity is held against each pattern. */
const MAX_PATTERNS = 1_000;

/** Why one more of a kind cannot be taken among those that are there; undefined when it can. */
export function limitProblem(entries: Iterable<{ readonly kind: SubjectKind }>): string | undefined {
	let all = 0;
	let patterns = 0;
	for (const { kind } of entries) {
		all++;
		if (kind === 'pattern') patterns++;
	}
	if (all > MAX_ENTRIES) return `there are more than ${MAX_ENTRIES} revocations`;
	return patterns > MAX_PATTERNS ? `there are more than ${MAX_PATTERNS} patterns` : undefined;
}

export interface LocalDeps {
	readonly state: State;
	readonly clock: Clock;
}

/** What operators of this Sallyport revoked; in memory, and in the state, where it survives a restart. */
export class LocalRevocations {
	readonly #deps: LocalDeps;
	readonly #entries = new Map<string, Revocation>();
	readonly #unkept = new Set<string>();

	constructor(deps: LocalDeps) {
		this.#deps = deps;
	}

	/** Rejects, in words, when what was kept cannot be read: nothing may be served without it. */
	async start(): Promise<void> {
		for (const { key, value } of await this.#deps.state.list(SPACE)) {
			const entry = readRevocation(parsed(value));
			if ('broken' in entry)
				throw new Error(`the state holds a revocation that cannot be read: ${key}: ${entry.broken}`);
			this.#entries.set(entry.what, entry);
		}
	}

	all(): Iterable<Revocation> {
		return this.#entries.values();
	}

	/** How many are in force until the end of this process only. */
	get unkept(): number {
		return this.#unkept.size;
	}

	get(what: string): Revocation | undefined {
		return this.#entries.get(what);
	}

	/** Why it cannot be taken; undefined when it can. */
	refusal(entry: Revocation): string | undefined {
		return this.#entries.has(entry.what) ? undefined : limitProblem([...this.#entries.values(), entry]);
	}

	/** In memory, at once; `keep` makes it survive. One for the same subject is replaced. */
	put(entry: Revocation): void {
		this.#entries.set(entry.what, entry);
	}

	/** Rejects, in words, when it cannot be kept: then it is in force until the end of this process only. */
	async keep(entry: Revocation): Promise<void> {
		this.#unkept.add(entry.what);
		await this.#deps.state.write(SPACE, [stored(entry)]);
		this.#unkept.delete(entry.what);
	}

	/** Tries once more what could not be kept, and returns what now is. Rejects, in words, when nothing is. */
	async keepAgain(): Promise<readonly Revocation[]> {
		const entries = [...this.#unkept].flatMap(what => this.#entries.get(what) ?? []);
		if (entries.length > 0) await this.#deps.state.write(SPACE, entries.map(stored));
		// Another may have come for the same subject.
		const kept = entries.filter(entry => this.#entries.get(entry.what) === entry);
		for (const { what } of kept) this.#unkept.delete(what);
		return kept;
	}

	/** Takes it out of the state, and only then out of memory. Rejects, in words, when it stays. */
	async drop(what: string): Promise<void> {
		const entry = this.#entries.get(what);
		// Meanwhile it must not be kept again.
		const unkept = this.#unkept.delete(what);
		try {
			await this.#deps.state.write(SPACE, [{ key: what, value: undefined }]);
		} catch (error) {
			if (unkept) this.#unkept.add(what);
			throw error;
		}
		// Another may have come for the same subject.
		if (this.#entries.get(what) === entry) this.#forget(what);
	}

	/** Lets go of those whose time is over, and returns them. What cannot be written goes from memory all the same: it is over. */
	async expire(): Promise<readonly Revocation[]> {
		const now = this.#deps.clock.now();
		const over = [...this.#entries.values()].filter(({ until }) => until !== undefined && until <= now);
		for (const { what } of over) this.#forget(what);
		if (over.length > 0)
			await this.#deps.state
				.write(
					SPACE,
					over.map(({ what }) => ({ key: what, value: undefined })),
				)
				.catch(() => {});
		return over;
	}

	#forget(what: string): void {
		this.#entries.delete(what);
		this.#unkept.delete(what);
	}
}

const stored = (entry: Revocation): { readonly key: string; readonly value: string } => ({
	key: entry.what,
	value: JSON.stringify(revocationJson(entry)),
});

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
