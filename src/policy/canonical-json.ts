import { scanJson } from '../formats/json.ts';

/** Data of a bundle may be large. */
const LIMITS = { depth: 256, bytes: 256 * 1024 * 1024, anyNumber: true };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/**
 * A JSON text as OPA hashes it for signatures: keys in the order of their bytes, no white space, numbers as they were
 * written, strings as Go's encoder writes them without HTML escaping. Undefined for what readers could read differently.
 */
export function canonicalJson(bytes: Buffer): Buffer | undefined {
	return scanJson(bytes, LIMITS) === undefined ? new Writer(bytes).all() : undefined;
}

/** Where a member of an object stands in what was written. */
interface Member {
	readonly start: number;
	readonly end: number;
	/** As it reads, without quotes. */
	readonly key: Buffer;
}

/** Goes once over a text that keeps the rules, and copies it: parsed, data would take ten times its bytes. */
class Writer {
	readonly #in: Buffer;
	#out: Buffer;
	#at = 0;
	#length = 0;

	constructor(text: Buffer) {
		this.#in = text;
		this.#out = Buffer.allocUnsafe(text.length);
	}

	all(): Buffer {
		this.#value();
		return this.#out.subarray(0, this.#length);
	}

	#value(): void {
		const byte = this.#next();
		if (byte === OPEN_OBJECT) this.#object();
		else if (byte === OPEN_ARRAY) this.#array();
		else if (byte === QUOTE) this.#string();
		else {
			const start = this.#at;
			while (!endsWord(this.#in[this.#at])) this.#at++;
			this.#copy(this.#in, start, this.#at);
		}
	}

	#array(): void {
		this.#byte(OPEN_ARRAY);
		for (this.#at++; this.#next() !== CLOSE_ARRAY; this.#value()) this.#comma();
		this.#at++;
		this.#byte(CLOSE_ARRAY);
	}

	#object(): void {
		this.#byte(OPEN_OBJECT);
		const begin = this.#length;
		const members: Member[] = [];
		let sorted = true;
		for (this.#at++; this.#next() !== CLOSE_OBJECT; ) {
			this.#comma();
			this.#next();
			const start = this.#length;
			const key = this.#string();
			this.#next();
			this.#at++;
			this.#byte(COLON);
			this.#value();
			const before = members.at(-1);
			sorted &&= before === undefined || before.key.compare(key) < 0;
			members.push({ start, end: this.#length, key });
		}
		this.#at++;
		if (!sorted) this.#sort(members, begin);
		this.#byte(CLOSE_OBJECT);
	}

	/** Writes the members of the innermost object anew. */
	#sort(members: readonly Member[], begin: number): void {
		// Keys lie in the text, but for those with escapes: what is written over is never a key.
		const written = Buffer.from(this.#out.subarray(begin, this.#length));
		this.#length = begin;
		for (const { start, end } of members.toSorted((a, b) => a.key.compare(b.key))) {
			if (this.#length > begin) this.#byte(COMMA);
			this.#copy(written, start - begin, end - begin);
		}
	}

	/** Answers what it reads. */
	#string(): Buffer {
		const start = this.#at + 1;
		let plain = true;
		for (this.#at = start; this.#in[this.#at] !== QUOTE; this.#at++) {
			const byte = this.#in[this.#at];
			if (byte === BACKSLASH) this.#at++;
			// Of U+2028 and U+2029, the line ends of JavaScript that Go escapes: e2 80 a8 and a9.
			if (byte === BACKSLASH || byte === 0xe2) plain = false;
		}
		const end = this.#at++;
		if (plain) {
			this.#copy(this.#in, start - 1, end + 1);
			return this.#in.subarray(start, end);
		}
		const text: unknown = JSON.parse(this.#in.toString('utf8', start - 1, end + 1));
		const written = Buffer.from(
			JSON.stringify(text).replace(/[\u2028\u2029]/g, char => (char === '\u2028' ? '\\u2028' : '\\u2029')),
		);
		this.#copy(written, 0, written.length);
		return Buffer.from(String(text));
	}

	/** Passes over white space, to the next byte. */
	#next(): number | undefined {
		while (isSpace(this.#in[this.#at])) this.#at++;
		return this.#in[this.#at];
	}

	/** Between two members or elements. */
	#comma(): void {
		if (this.#in[this.#at] !== COMMA) return;
		this.#at++;
		this.#byte(COMMA);
	}

	#byte(byte: number): void {
		this.#room(1);
		this.#out[this.#length++] = byte;
	}

	#copy(from: Buffer, start: number, end: number): void {
		this.#room(end - start);
		// A call costs more than a few bytes do.
		if (end - start > 32) from.copy(this.#out, this.#length, start, end);
		else for (let index = start; index < end; index++) this.#out[this.#length + index - start] = from[index] ?? 0;
		this.#length += end - start;
	}

	/** What is escaped may take more than it did. */
	#room(bytes: number): void {
		if (this.#length + bytes <= this.#out.length) return;
		const larger = Buffer.allocUnsafe((this.#length + bytes) * 2);
		this.#out.copy(larger, 0, 0, this.#length);
		this.#out = larger;
	}
}

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

const endsWord = (byte: number | undefined): boolean =>
	byte === undefined || byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY || isSpace(byte);
