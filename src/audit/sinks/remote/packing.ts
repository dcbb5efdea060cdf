import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const LF = 10;
const COMMA = 0x2c;
const compress = promisify(gzip);

/** Lines as what is compressed, and how many they are. */
export type Encode = (lines: Buffer) => { readonly bytes: Uint8Array; readonly count: number };

/** Records as one body, compressed. */
export interface Packed {
	readonly body: Buffer;
	/** After the last line that is in it. */
	readonly end: number;
	readonly count: number;
}

/**
 * Fills bodies up to a limit of compressed bytes. How well records compress is known only afterwards, so each body is
 * filled by what the ones before it came to.
 */
export class Packing {
	readonly #limit: number;
	readonly #encode: Encode;
	/** Compressed bytes of one byte, as seen lately. */
	#ratio = 0.25;

	/** `limit` in bytes. */
	constructor(limit: number, encode: Encode) {
		this.#limit = limit;
		this.#encode = encode;
	}

	/** As many whole lines from `from` on as fit, one at least: a record that is larger than the limit goes alone. */
	async pack(lines: Buffer, from: number, to = lines.length): Promise<Packed> {
		let room = Math.floor((this.#limit * 0.95) / this.#ratio);
		for (;;) {
			const end = endWithin(lines, from, to, room);
			const { bytes, count } = this.#encode(lines.subarray(from, end));
			const body = await compress(bytes, { level: 4 });
			const ratio = body.length / (end - from);
			if (body.length <= this.#limit || count === 1) {
				// Slowly towards less, so that one record that compresses well does not make the next body too large.
				this.#ratio = ratio > this.#ratio ? ratio : this.#ratio * 0.75 + ratio * 0.25;
				return { body, end, count };
			}
			this.#ratio = Math.max(this.#ratio, ratio);
			room = Math.floor(((end - from) * this.#limit * 0.9) / body.length);
		}
	}
}

/** After the last line that ends within `room` bytes; the first line's end when none does. */
function endWithin(lines: Buffer, from: number, to: number, room: number): number {
	if (to - from <= room) return to;
	const last = lines.lastIndexOf(LF, from + room - 1);
	return last >= from ? last + 1 : lines.indexOf(LF, from) + 1;
}

/** A JSON array: the lines' own bytes between brackets and commas. */
export const arrayOf: Encode = lines => {
	const array = Buffer.allocUnsafe(lines.length + 1);
	array[0] = 0x5b;
	lines.copy(array, 1);
	let count = 0;
	for (let at = array.indexOf(LF); at !== -1; at = array.indexOf(LF, at + 1)) {
		array[at] = COMMA;
		count++;
	}
	array[array.length - 1] = 0x5d;
	return { bytes: array, count };
};
