import { parseFields, type Unreadable } from './head-reader.ts';
import type { RawHeaders } from './headers.ts';

/** How the end of a body is found (RFC 9112 §6.3). */
export type Framing =
	| { readonly kind: 'length'; readonly length: number }
	| { readonly kind: 'chunked' }
	/** Everything until the connection ends; answers only. */
	| { readonly kind: 'close' };

/** Longest chunk-size line, extensions included, bytes. */
const MAX_LINE = 1024;

// RFC 9112 §7.1. Extensions mean something to nobody; they are checked, since parsers have differed over them, and dropped.
const SIZE_LINE = /^([0-9A-Fa-f]{1,12})(?:[\t ]*;[\t\x20-\x7e]*)?$/;

type State = 'size' | 'data' | 'data_end' | 'trailers' | 'over';

/** Takes one body out of a stream of bytes. */
export class BodyReader {
	readonly #kind: Framing['kind'];
	readonly #maxTrailers: number;
	/** Bytes of the body, or of the chunk, that are still to come. */
	#left: number;
	#state: State;
	/** A line that has not come whole, and the trailer lines before it. */
	#line = '';
	#above = '';
	#trailers: RawHeaders = [];

	/** `maxTrailers`: longest trailer section, bytes. */
	constructor(framing: Framing, maxTrailers: number) {
		this.#maxTrailers = maxTrailers;
		this.#kind = framing.kind;
		this.#left = framing.kind === 'length' ? framing.length : 0;
		this.#state = framing.kind === 'chunked' ? 'size' : this.#left === 0 && framing.kind === 'length' ? 'over' : 'data';
	}

	/** Whether the body came whole; one that ends with the connection never does by itself. */
	get over(): boolean {
		return this.#state === 'over';
	}

	/** Whether the end of the connection is the end of the body. */
	get endsWithConnection(): boolean {
		return this.#kind === 'close';
	}

	/** Fields behind a chunked body: names and values in turn. */
	get trailers(): RawHeaders {
		return this.#trailers;
	}

	/**
	 * Hands what is the body's in `bytes` to `data`, in one piece however it was chunked; returns how many bytes were the
	 * body's, or what is wrong with them.
	 */
	take(bytes: Buffer, data: (part: Buffer) => void): number | Unreadable {
		const parts: Buffer[] = [];
		const taken = this.#take(bytes, parts);
		const [first] = parts;
		if (first !== undefined) data(parts.length === 1 ? first : Buffer.concat(parts));
		return taken;
	}

	#take(bytes: Buffer, parts: Buffer[]): number | Unreadable {
		if (this.#kind === 'close') {
			if (bytes.length > 0) parts.push(bytes);
			return bytes.length;
		}
		let at = 0;
		while (at < bytes.length && this.#state !== 'over') {
			if (this.#state === 'data') {
				const end = Math.min(bytes.length, at + this.#left);
				this.#left -= end - at;
				if (this.#left === 0) this.#state = this.#kind === 'length' ? 'over' : 'data_end';
				parts.push(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
				at = end;
				continue;
			}
			const end = bytes.indexOf(10, at);
			const trailing = this.#state === 'trailers';
			const to = end < 0 ? bytes.length : end + 1;
			if (this.#above.length + this.#line.length + to - at > (trailing ? this.#maxTrailers : MAX_LINE))
				return trailing ? { tooLong: true } : { unreadable: 'the size of a chunk is no number' };
			this.#line += bytes.toString('latin1', at, to);
			at = to;
			if (end < 0) break;
			const broken = this.#endOfLine();
			if (broken !== undefined) return { unreadable: broken };
		}
		return at;
	}

	#endOfLine(): string | undefined {
		const line = this.#line;
		if (!line.endsWith('\r\n')) return 'a bare line end in a chunked body';
		switch (this.#state) {
			case 'data_end':
				if (line !== '\r\n') return 'a chunk is longer than it says';
				this.#state = 'size';
				break;
			case 'size': {
				const match = SIZE_LINE.exec(line.slice(0, -2));
				if (match === null) return 'the size of a chunk is not a number';
				this.#left = Number.parseInt(match[1] ?? '', 16);
				this.#state = this.#left === 0 ? 'trailers' : 'data';
				break;
			}
			case 'trailers': {
				if (line !== '\r\n') {
					this.#above += line;
					break;
				}
				const trailers = this.#above === '' ? [] : parseFields(this.#above.slice(0, -2));
				if (trailers === undefined) return 'a trailer field is malformed';
				this.#trailers = trailers;
				this.#state = 'over';
			}
		}
		this.#line = '';
		return undefined;
	}
}
