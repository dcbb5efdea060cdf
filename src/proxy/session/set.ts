import type { Cause } from '../../model/cause.ts';

/** How often idle and total time are looked at, milliseconds. */
const TICK = 1000;

interface Member {
	/** It is over, and its last words are on their way. */
	readonly closing: boolean;
	/** Sallyport stops: whoever has not asked for anything goes. */
	drain(): void;
	end(cause: Cause): void;
	/** Milliseconds, monotonic. */
	tick(now: number): void;
}

/** Open sessions or tunnels, and the one timer that looks at their idle and total time while there are any. */
export class SessionSet {
	readonly #members = new Set<Member>();
	#timer: NodeJS.Timeout | undefined;

	get size(): number {
		return this.#members.size;
	}

	add(member: Member): void {
		this.#members.add(member);
		this.#timer ??= setInterval(() => this.#tick(), TICK);
	}

	delete(member: Member): void {
		this.#members.delete(member);
		if (this.#members.size > 0) return;
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	/** Those that go on. */
	get busy(): number {
		let busy = 0;
		for (const member of this.#members) if (!member.closing) busy++;
		return busy;
	}

	drain(): void {
		for (const member of [...this.#members]) member.drain();
	}

	end(cause: Cause): void {
		for (const member of [...this.#members]) member.end(cause);
	}

	#tick(): void {
		const now = performance.now();
		for (const member of [...this.#members]) member.tick(now);
	}
}
