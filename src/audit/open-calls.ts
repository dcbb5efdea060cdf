/** Slots at first; always a power of two, and at least twice the number of ids. */
const SLOTS = 256;

/**
 * Ids of permitted calls without an outcome, in no order. A hash table in one array that is used again and again: a Set
 * to which thousands of ids a second come and go makes table after table, and those that are old already keep what is
 * in them from being collected.
 */
export class OpenCalls {
	readonly #most: number;
	#slots: (string | undefined)[] = empty(SLOTS);
	#size = 0;

	/** `most`: how many it remembers. */
	constructor(most: number) {
		this.#most = most;
	}

	get size(): number {
		return this.#size;
	}

	add(id: string): void {
		if (this.#size >= this.#most) return;
		const slots = this.#slots;
		const at = find(slots, id);
		if (slots[at] !== undefined) return;
		slots[at] = id;
		this.#size++;
		if (this.#size * 2 > slots.length) this.#grow();
	}

	delete(id: string): void {
		const slots = this.#slots;
		let hole = find(slots, id);
		if (slots[hole] === undefined) return;
		this.#size--;
		// What stands behind was perhaps put there because this slot was taken: it moves up, so that it is found.
		const mask = slots.length - 1;
		for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
			const other = slots[at];
			if (other === undefined) break;
			const home = homeOf(other, mask);
			if (((at - home) & mask) < ((at - hole) & mask)) continue;
			slots[hole] = other;
			hole = at;
		}
		slots[hole] = undefined;
	}

	*[Symbol.iterator](): Generator<string> {
		for (const id of this.#slots) if (id !== undefined) yield id;
	}

	#grow(): void {
		const larger = empty(this.#slots.length * 2);
		for (const id of this) larger[find(larger, id)] = id;
		this.#slots = larger;
	}
}

const empty = (length: number): (string | undefined)[] => new Array<string | undefined>(length).fill(undefined);

/** The slot of an id, or the free one in which it would stand. */
function find(slots: readonly (string | undefined)[], id: string): number {
	const mask = slots.length - 1;
	let at = homeOf(id, mask);
	for (let held = slots[at]; held !== undefined && held !== id; held = slots[at]) at = (at + 1) & mask;
	return at;
}

/** FNV-1a over the last eight characters, which in ids of decisions are random. */
function homeOf(id: string, mask: number): number {
	let hash = 0x811c9dc5;
	for (let i = Math.max(0, id.length - 8); i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
	return (hash ^ (hash >>> 15)) & mask;
}
