import { isUtf8 } from 'node:buffer';
import { JsonKeys } from './json-keys.ts';

/**
 * A strict scanner of JSON texts (RFC 8259, narrowed by I-JSON, RFC 7493). It builds nothing: it says whether every
 * reader must understand these bytes in the same way, so that the original bytes can be spliced into a larger text.
 */

/** What a text broke. */
export type JsonRule =
	| 'size'
	| 'utf8'
	| 'byte_order_mark'
	| 'syntax'
	| 'control_character'
	| 'lone_surrogate'
	| 'duplicate_key'
	| 'depth'
	/** Beyond the range or the precision of a double (IEEE 754 binary64): readers would disagree on its value. */
	| 'number'
	| 'trailing_bytes';

export interface JsonFault {
	readonly rule: JsonRule;
	/** Byte at which the rule was broken. */
	readonly offset: number;
}

export interface JsonLimits {
	/** Greatest number of arrays and objects inside one another. */
	readonly depth: number;
	/** Greatest number of bytes. */
	readonly bytes: number;
	/** Take numbers of any size: for texts whose numbers are read by somebody who knows of them. */
	readonly anyNumber?: boolean;
	/** Take keys that come twice: for texts of one reader, which may be so large that keys are not to be remembered. */
	readonly anyKey?: boolean;
}

export const JSON_LIMITS: JsonLimits = { depth: 64, bytes: 16 * 1024 * 1024 };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 1;
const ARRAY = 2;

/** What may come next. */
const VALUE = 0;
const VALUE_OR_END = 1;
const KEY = 2;
const KEY_OR_END = 3;
const COMMA_OR_END = 4;

const fault = (rule: JsonRule, offset: number): JsonFault => ({ rule, offset });

/** Undefined when `bytes` are exactly one JSON value (white space around it is allowed) that keeps every rule. */
export function scanJson(bytes: Uint8Array, limits: JsonLimits = JSON_LIMITS): JsonFault | undefined {
	const end = bytes.length;
	if (end > limits.bytes) return fault('size', limits.bytes);
	if (end >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return fault('byte_order_mark', 0);
	if (!isUtf8(bytes)) return fault('utf8', firstInvalid(bytes));

	const kinds: number[] = [];
	const keys = new JsonKeys(bytes);
	let state = VALUE;
	let at = 0;

	for (;;) {
		let byte = bytes[at];
		while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at];
		if (byte === undefined) return fault('syntax', at);

		if (state === COMMA_OR_END) {
			const kind = kinds[kinds.length - 1];
			if (byte === 0x2c) {
				state = kind === OBJECT ? KEY : VALUE;
				at++;
				continue;
			}
			if (byte !== (kind === OBJECT ? 0x7d : 0x5d)) return fault('syntax', at);
			kinds.pop();
			keys.leave();
			at++;
		} else if (state === KEY || state === KEY_OR_END) {
			if (byte === 0x7d && state === KEY_OR_END) {
				kinds.pop();
				keys.leave();
				at++;
			} else {
				if (byte !== QUOTE) return fault('syntax', at);
				const start = at;
				const after = scanString(bytes, at);
				if (typeof after !== 'number') return after;
				if (limits.anyKey !== true && !keys.add(start + 1, after - 1)) return fault('duplicate_key', start);
				at = after;
				byte = bytes[at];
				while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at];
				if (byte !== 0x3a) return fault('syntax', at);
				at++;
				state = VALUE;
				continue;
			}
		} else if (byte === 0x5d && state === VALUE_OR_END) {
			kinds.pop();
			keys.leave();
			at++;
		} else if (byte === 0x7b || byte === 0x5b) {
			if (kinds.length === limits.depth) return fault('depth', at);
			kinds.push(byte === 0x7b ? OBJECT : ARRAY);
			keys.enter();
			state = byte === 0x7b ? KEY_OR_END : VALUE_OR_END;
			at++;
			continue;
		} else {
			const after =
				byte === QUOTE
					? scanString(bytes, at)
					: byte === 0x2d || isDigit(byte)
						? scanNumber(bytes, at, limits.anyNumber === true)
						: scanWord(bytes, at);
			if (typeof after !== 'number') return after;
			at = after;
		}

		// A value has ended here.
		if (kinds.length > 0) {
			state = COMMA_OR_END;
			continue;
		}
		for (let rest = bytes[at]; rest !== undefined; rest = bytes[++at]) {
			if (rest !== 0x20 && rest !== 0x0a && rest !== 0x0d && rest !== 0x09) return fault('trailing_bytes', at);
		}
		return undefined;
	}
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** Offset after the closing quote. The bytes are valid UTF-8 already. */
function scanString(bytes: Uint8Array, quote: number): number | JsonFault {
	let at = quote + 1;
	for (;;) {
		const byte = bytes[at];
		if (byte === undefined) return fault('syntax', at);
		if (byte === QUOTE) return at + 1;
		if (byte < 0x20) return fault('control_character', at);
		if (byte !== BACKSLASH) {
			at++;
			continue;
		}
		const letter = bytes[at + 1];
		if (letter === 0x75) {
			const unit = hex4(bytes, at + 2);
			if (unit < 0) return fault('syntax', at);
			if (unit >= 0xdc00 && unit <= 0xdfff) return fault('lone_surrogate', at);
			if (unit >= 0xd800 && unit <= 0xdbff) {
				const low = bytes[at + 6] === BACKSLASH && bytes[at + 7] === 0x75 ? hex4(bytes, at + 8) : -1;
				if (low < 0xdc00 || low > 0xdfff) return fault('lone_surrogate', at);
				at += 6;
			}
			at += 6;
		} else if (letter !== undefined && '"\\/bfnrt'.includes(String.fromCharCode(letter))) {
			at += 2;
		} else {
			return fault('syntax', at);
		}
	}
}

function hex4(bytes: Uint8Array, at: number): number {
	let value = 0;
	for (let index = at; index < at + 4; index++) {
		const byte = bytes[index] ?? 0;
		const digit =
			byte >= 0x30 && byte <= 0x39
				? byte - 0x30
				: byte >= 0x41 && byte <= 0x46
					? byte - 0x37
					: byte >= 0x61 && byte <= 0x66
						? byte - 0x57
						: -1;
		if (digit < 0) return -1;
		value = value * 16 + digit;
	}
	return value;
}

/** Offset after the number. */
function scanNumber(bytes: Uint8Array, start: number, any: boolean): number | JsonFault {
	let at = start;
	if (bytes[at] === 0x2d) at++;
	if (bytes[at] === 0x30) at++;
	else if (!isDigit(bytes[at])) return fault('syntax', at);
	else while (isDigit(bytes[at])) at++;
	let plain = true;
	if (bytes[at] === 0x2e) {
		plain = false;
		if (!isDigit(bytes[++at])) return fault('syntax', at);
		while (isDigit(bytes[at])) at++;
	}
	if (bytes[at] === 0x65 || bytes[at] === 0x45) {
		plain = false;
		at++;
		if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++;
		if (!isDigit(bytes[at])) return fault('syntax', at);
		while (isDigit(bytes[at])) at++;
	}
	// Fifteen digits always survive a double.
	if (any || (plain && at - start <= 15)) return at;
	const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, at - start).toString('latin1');
	return survivesDouble(text) ? at : fault('number', start);
}

/**
 * Whether readers with doubles, with 64-bit integers and with decimals hold the same number. Integers must be exact.
 * What has a fraction or an exponent, nobody reads as an integer: its digits must come back when its double is
 * printed with as many.
 */
function survivesDouble(text: string): boolean {
	const value = Number(text);
	if (!Number.isFinite(value)) return false;
	const match = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
	if (match === null) return false;
	const [, whole = '', fraction, exponent] = match;
	// Finite, so at most 309 digits.
	if (fraction === undefined && exponent === undefined) return BigInt(whole) === BigInt(Math.abs(value));
	const digits = stripZeros((whole + (fraction ?? '')).replace(/^0+/, ''));
	if (digits === '') return true;
	if (value === 0 || digits.length > 17) return false;
	if (digits.length <= 15) return true;
	const printed = Math.abs(value).toExponential(digits.length - 1);
	return printed.slice(0, printed.indexOf('e')).replace('.', '') === digits;
}

/** Without trailing zeros; not by a regular expression, which takes quadratic time on long runs that do not end the text. */
function stripZeros(digits: string): string {
	let end = digits.length;
	while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
	return digits.slice(0, end);
}

const WORDS: readonly (readonly number[])[] = ['true', 'false', 'null'].map(word => [...Buffer.from(word)]);

function scanWord(bytes: Uint8Array, start: number): number | JsonFault {
	for (const word of WORDS) {
		if (word.every((byte, index) => bytes[start + index] === byte)) return start + word.length;
	}
	return fault('syntax', start);
}

/** Offset of the first byte that is not UTF-8 (RFC 3629); the text is known to have one. */
function firstInvalid(bytes: Uint8Array): number {
	let low = 0;
	let high = bytes.length;
	// The longest valid prefix, up to the three bytes of a character that the cut may have split.
	while (low < high) {
		const middle = (low + high + 1) >> 1;
		const cut = wholeCharacters(bytes, middle);
		if (isUtf8(bytes.subarray(0, cut))) low = middle;
		else high = middle - 1;
	}
	return wholeCharacters(bytes, low);
}

/** `end` moved back to the start of a character that it cuts. */
function wholeCharacters(bytes: Uint8Array, end: number): number {
	for (let back = 1; back <= 3 && back <= end; back++) {
		const byte = bytes[end - back] ?? 0;
		if (byte < 0x80) return end;
		if (byte >= 0xc0) {
			const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
			return length > back ? end - back : end;
		}
	}
	return end;
}
