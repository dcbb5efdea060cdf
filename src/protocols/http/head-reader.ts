import type { RawHeaders } from './headers.ts';

/** The start line of a message and its fields, as they came (RFC 9112 §2.1). */
export interface RawHead {
	readonly startLine: string;
	/** Names and values in turn, white space around values taken off. */
	readonly fields: RawHeaders;
	/** What came behind the head in the same bytes. */
	readonly rest: Buffer;
}

/** Why bytes are no head. */
export type Unreadable = { readonly unreadable: string } | { readonly tooLong: true };

const END = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);

const LINE = { unreadable: 'a control character or a bare line end in the head' } as const;

// What is in no beginning of a head: controls, and a CR or LF that is not half of a line end (RFC 9112 §2.2).
const BROKEN = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n|$)|(?<!\r)\n/;

/** Characters of a token (RFC 9110 §5.6.2), by code. */
const TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	TOKEN[character.charCodeAt(0)] = 1;

/**
 * Collects the bytes of one head after the other, up to `limit` bytes each, and takes them apart in the one way that
 * RFC 9112 §5 allows: no bare CR or LF, no folded lines, no white space before a colon.
 */
export class HeadReader {
	readonly #limit: number;
	#held: Buffer = NOTHING;

	constructor(limit: number) {
		this.#limit = limit;
	}

	/** Whether a part of a head is held. */
	get begun(): boolean {
		return this.#held.length > 0;
	}

	/** The head, once all of it came; undefined until then. Empty lines before it are skipped (RFC 9112 §2.2). */
	push(chunk: Buffer): RawHead | Unreadable | undefined {
		let bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
		let from = 0;
		while (bytes[from] === 13 && bytes[from + 1] === 10) from += 2;
		if (from > 0) bytes = bytes.subarray(from);
		// What was held was looked at when it came: many small packets must not cost more than one.
		const seen = Math.max(0, this.#held.length - from);
		const end = bytes.indexOf(END, Math.max(0, seen - 3));
		if (end < 0 || end > this.#limit) {
			// A line end that is none shows at once, not when the time is up.
			let fresh = Math.max(0, seen - 1);
			if (bytes[fresh] === 10 && seen > 0) fresh++;
			if (BROKEN.test(bytes.toString('latin1', fresh, Math.min(bytes.length, this.#limit)))) return LINE;
			if (end > this.#limit || bytes.length > this.#limit) return { tooLong: true };
			this.#held = bytes;
			return undefined;
		}
		this.#held = NOTHING;
		return parse(bytes, end, end + 4 === bytes.length ? NOTHING : bytes.subarray(end + 4));
	}
}

/** One pass over the bytes of a head finds where everything is; texts are cut out of it afterwards. */
function parse(bytes: Buffer, end: number, rest: Buffer): RawHead | Unreadable {
	const text = bytes.toString('latin1', 0, end);
	let at = 0;
	while (at < end && bytes[at] !== 13) if (isForbidden(bytes[at++] as number)) return LINE;
	const startLine = text.slice(0, at);
	const fields: string[] = [];
	while (at < end) {
		// A CR is half of a line end or nothing (RFC 9112 §2.2).
		if (bytes[at + 1] !== 10) return LINE;
		const name = at + 2;
		at = name;
		while (at < end && TOKEN[bytes[at] as number] === 1) at++;
		if (at === name || at >= end || bytes[at] !== 58) return { unreadable: 'a field name is not a token' };
		const colon = at++;
		while (at < end && (bytes[at] === 32 || bytes[at] === 9)) at++;
		const from = at;
		let to = at;
		for (; at < end; at++) {
			const byte = bytes[at] as number;
			if (byte === 13) break;
			if (byte === 32 || byte === 9) continue;
			if (isForbidden(byte)) return LINE;
			to = at + 1;
		}
		fields.push(text.slice(name, colon), text.slice(from, to));
	}
	return { startLine, fields, rest };
}

/** Field lines without a start line, such as trailers; undefined when they are none. */
export function parseFields(lines: string): RawHeaders | undefined {
	const bytes = Buffer.from(`\r\n${lines}`, 'latin1');
	const parsed = parse(bytes, bytes.length, NOTHING);
	return 'fields' in parsed ? parsed.fields : undefined;
}

/** Controls other than HTAB: parsers differ over each of them. */
const isForbidden = (byte: number): boolean => (byte < 32 && byte !== 9) || byte === 127;
