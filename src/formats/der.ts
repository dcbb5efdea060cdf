/**
 * A strict reader of DER (X.690 §8, §10): definite lengths in their shortest form, tags below 31, every byte used.
 * Small on purpose: it reads what X.509 certificates hold, with limits on size and depth, and never recurses by itself.
 */

/** Greatest number of bytes that are read at all. */
export const MAX_DER = 64 * 1024;
const MAX_DEPTH = 16;

/** Raised inside a reading and caught where it began (`readDer`); never seen outside formats/. */
class DerError extends Error {}

export const TAG = {
	boolean: 0x01,
	integer: 0x02,
	bitString: 0x03,
	octetString: 0x04,
	oid: 0x06,
	utcTime: 0x17,
	generalizedTime: 0x18,
	sequence: 0x30,
	set: 0x31,
} as const;

/** One element: identifier octet, contents, and the whole encoding including the header. */
export interface DerElement {
	readonly tag: number;
	readonly contents: Buffer;
	readonly whole: Buffer;
	readonly depth: number;
}

export interface BrokenDer {
	readonly broken: string;
}

/** Runs a reading over one whole element of the given tag; what is not well formed comes back as a value. */
export function readDer<Result>(der: Buffer, tag: number, read: (element: DerElement) => Result): Result | BrokenDer {
	try {
		if (der.length > MAX_DER) throw new DerError(`longer than ${MAX_DER} bytes`);
		const cursor = new Cursor(der, 0);
		const element = cursor.take(tag, 'the outermost element');
		cursor.end('the outermost element');
		return read(element);
	} catch (error) {
		if (error instanceof DerError) return { broken: error.message };
		throw error;
	}
}

/** Ends the reading in progress. */
export function breaks(rule: string): never {
	throw new DerError(rule);
}

/** Walks the elements inside one constructed element, in order. */
export class Cursor {
	readonly #bytes: Buffer;
	readonly #depth: number;
	#position = 0;

	constructor(bytes: Buffer, depth: number) {
		if (depth > MAX_DEPTH) throw new DerError(`nested more than ${MAX_DEPTH} deep`);
		this.#bytes = bytes;
		this.#depth = depth;
	}

	get done(): boolean {
		return this.#position === this.#bytes.length;
	}

	/** The next element, which must have the tag. */
	take(tag: number, name: string): DerElement {
		const element = this.#next(name);
		if (element.tag !== tag) return breaks(`${name}: unexpected tag 0x${element.tag.toString(16).padStart(2, '0')}`);
		return element;
	}

	/** The next element if it has the tag. */
	maybe(tag: number, name: string): DerElement | undefined {
		return !this.done && this.#bytes[this.#position] === tag ? this.#next(name) : undefined;
	}

	/** The next element, whatever it is. */
	any(name: string): DerElement {
		return this.#next(name);
	}

	/** Nothing may follow. */
	end(name: string): void {
		if (!this.done) breaks(`${name}: bytes after its end`);
	}

	#next(name: string): DerElement {
		const bytes = this.#bytes;
		const start = this.#position;
		const tag = bytes[start];
		const first = bytes[start + 1];
		if (tag === undefined || first === undefined) return breaks(`${name}: missing or cut off`);
		if ((tag & 0x1f) === 0x1f) breaks(`${name}: a tag of more than one byte`);
		let at = start + 2;
		let length = first;
		if (first === 0x80) breaks(`${name}: an indefinite length`);
		if (first > 0x80) {
			const count = first & 0x7f;
			if (count > 3) breaks(`${name}: a length of more than three bytes`);
			length = 0;
			for (let index = 0; index < count; index += 1) {
				const byte = bytes[at];
				if (byte === undefined) return breaks(`${name}: cut off in its length`);
				length = length * 256 + byte;
				at += 1;
			}
			if (length < 0x80 || length < 256 ** (count - 1)) breaks(`${name}: a length that is not in its shortest form`);
		}
		const end = at + length;
		if (end > bytes.length) breaks(`${name}: longer than what holds it`);
		this.#position = end;
		return { tag, contents: bytes.subarray(at, end), whole: bytes.subarray(start, end), depth: this.#depth };
	}
}

/** A cursor over what is inside. */
export const inside = (element: DerElement): Cursor => new Cursor(element.contents, element.depth + 1);

/** A cursor over the one element that an OCTET STRING's or extension's value wraps. */
export function unwrap(element: DerElement, tag: number, name: string): DerElement {
	const cursor = inside(element);
	const wrapped = cursor.take(tag, name);
	cursor.end(name);
	return wrapped;
}

/** BOOLEAN. An explicit FALSE where FALSE is the default is let through: all readers agree on what it says. */
export function boolean(element: DerElement, name: string): boolean {
	const [byte] = element.contents;
	if (element.contents.length !== 1 || (byte !== 0x00 && byte !== 0xff)) return breaks(`${name}: not a DER boolean`);
	return byte === 0xff;
}

/** INTEGER as its contents octets, checked to be in their shortest form. */
export function integerBytes(element: DerElement, name: string): Buffer {
	const [first, second] = element.contents;
	if (first === undefined) return breaks(`${name}: an empty integer`);
	if (second !== undefined && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
		breaks(`${name}: an integer that is not in its shortest form`);
	}
	return element.contents;
}

/** A small INTEGER, zero or more. */
export function smallInteger(element: DerElement, name: string): number {
	const bytes = integerBytes(element, name);
	if ((bytes[0] ?? 0) >= 0x80) breaks(`${name}: negative`);
	if (bytes.length > 4) breaks(`${name}: too large`);
	return bytes.readUIntBE(0, bytes.length);
}

/** OBJECT IDENTIFIER in dotted form. */
export function objectIdentifier(element: DerElement, name: string): string {
	const arcs: number[] = [];
	let arc = 0;
	let begun = false;
	for (const byte of element.contents) {
		if (!begun && byte === 0x80) breaks(`${name}: an object identifier that is not in its shortest form`);
		begun = (byte & 0x80) !== 0;
		arc = arc * 128 + (byte & 0x7f);
		if (arc > Number.MAX_SAFE_INTEGER / 128) breaks(`${name}: an object identifier with an arc that is too large`);
		if (!begun) {
			arcs.push(arc);
			arc = 0;
		}
	}
	const [first] = arcs;
	if (first === undefined || begun || arcs.length > 32) return breaks(`${name}: not an object identifier`);
	const root = Math.min(2, Math.floor(first / 40));
	return [root, first - root * 40, ...arcs.slice(1)].join('.');
}

/** BIT STRING with named bits, as the numbers of the bits that are set (X.680 §22.7). */
export function namedBits(element: DerElement, name: string): ReadonlySet<number> {
	const [unused, ...bytes] = element.contents;
	const last = bytes.at(-1);
	if (unused === undefined || unused > 7 || (last === undefined && unused !== 0))
		return breaks(`${name}: not a bit string`);
	if (bytes.length > 4) breaks(`${name}: too long`);
	if (last !== undefined && (last & ((1 << unused) - 1)) !== 0) breaks(`${name}: unused bits that are set`);
	const bits = new Set<number>();
	for (const [index, byte] of bytes.entries()) {
		for (let bit = 0; bit < 8; bit += 1) if ((byte & (0x80 >> bit)) !== 0) bits.add(index * 8 + bit);
	}
	return bits;
}

/** IA5String contents (ASCII without NUL). */
export function ascii(contents: Buffer, name: string): string {
	for (const byte of contents) if (byte === 0 || byte >= 0x80) breaks(`${name}: a character that is not ASCII`);
	return contents.toString('latin1');
}

/** UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 wants it: with seconds, in Zulu; milliseconds since the epoch. */
export function time(element: DerElement, name: string): number {
	const text = element.contents.toString('latin1');
	const utc = element.tag === TAG.utcTime;
	const match = (
		utc ? /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/ : /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/
	).exec(text);
	if (match === null || (!utc && element.tag !== TAG.generalizedTime)) return breaks(`${name}: not a time`);
	const [given = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
	const year = utc ? given + (given >= 50 ? 1900 : 2000) : given;
	const date = new Date(0);
	date.setUTCFullYear(year, month - 1, day);
	date.setUTCHours(hour, minute, second);
	const back = [
		date.getUTCMonth() + 1,
		date.getUTCDate(),
		date.getUTCHours(),
		date.getUTCMinutes(),
		date.getUTCSeconds(),
	];
	if ([month, day, hour, minute, second].some((part, index) => part !== back[index])) breaks(`${name}: no such time`);
	return date.getTime();
}

/** Elements of one tag, one after the other, as they are; up to `most` of them. An empty input has none. */
export function splitDer(bytes: Buffer, tag: number, most: number): Buffer[] | BrokenDer {
	try {
		const elements: Buffer[] = [];
		for (const cursor = new Cursor(bytes, 0); !cursor.done; ) {
			if (elements.length === most) throw new DerError(`more than ${most} elements`);
			elements.push(cursor.take(tag, `element ${elements.length + 1}`).whole);
		}
		return elements;
	} catch (error) {
		if (error instanceof DerError) return { broken: error.message };
		throw error;
	}
}
