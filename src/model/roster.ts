/** Members that come and go by the thousand, in no order. Each keeps its own place: unlike a Set it leaves nothing behind that old members hang on. */
export interface Member {
	/** Its place while it is a member; -1 before and after. */
	place: number;
}

export class Roster<M extends Member> {
	readonly #members: M[] = [];

	get size(): number {
		return this.#members.length;
	}

	add(member: M): void {
		member.place = this.#members.length;
		this.#members.push(member);
	}

	delete(member: M): boolean {
		const { place } = member;
		if (place < 0) return false;
		member.place = -1;
		const last = this.#members.pop();
		if (last !== undefined && last !== member) {
			this.#members[place] = last;
			last.place = place;
		}
		return true;
	}

	[Symbol.iterator](): Iterator<M> {
		return [...this.#members][Symbol.iterator]();
	}
}
