import { randomFillSync } from 'node:crypto';

/** Makes the ids of decisions: UUIDv7 (RFC 9562 §5.7), random bits in the rest. Random bytes are drawn in bulk. */
export class DecisionIds {
	readonly #pool = Buffer.allocUnsafe(4096);
	#used = 4096;
	#time = -1;
	#timeText = '';

	/** `now` in milliseconds since the epoch. */
	next(now: number): string {
		if (this.#used + 10 > this.#pool.length) {
			randomFillSync(this.#pool);
			this.#used = 0;
		}
		const at = this.#used;
		this.#used += 10;
		const pool = this.#pool;
		pool[at] = 0x70 | ((pool[at] ?? 0) & 0x0f);
		pool[at + 2] = 0x80 | ((pool[at + 2] ?? 0) & 0x3f);
		if (now !== this.#time) {
			const time = now.toString(16).padStart(12, '0');
			this.#time = now;
			this.#timeText = `${time.slice(0, 8)}-${time.slice(8)}-`;
		}
		const random = pool.toString('hex', at, at + 10);
		return `${this.#timeText}${random.slice(0, 4)}-${random.slice(4, 8)}-${random.slice(8)}`;
	}
}
