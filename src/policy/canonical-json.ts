import { scanJson } from '../formats/json.ts';

/** Data of a bundle may be large. */
const LIMITS = { depth: 256, bytes: 256 * 1024 * 1024, anyNumber: true };

interface Source {
	readonly source?: string;
}

/** A number as it was written: parsing it would lose digits, and `1.50` is not `1.5` here. */
class Numeral {
	readonly text: string;

	constructor(text: string) {
		this.text = text;
	}
}

/**
 * A JSON text as OPA hashes it for signatures: keys in the order of their bytes, no white space, numbers as they were
 * written, strings as Go's encoder writes them without HTML escaping. Undefined for what readers could read differently.
 */
export function canonicalJson(bytes: Buffer): Buffer | undefined {
	if (scanJson(bytes, LIMITS) !== undefined) return undefined;
	const value: unknown = JSON.parse(bytes.toString('utf8'), (_key, value: unknown, context?: Source) =>
		typeof value === 'number' ? new Numeral(context?.source ?? String(value)) : value,
	);
	const parts: string[] = [];
	write(value, parts);
	return Buffer.from(parts.join(''));
}

function write(value: unknown, parts: string[]): void {
	if (value instanceof Numeral) parts.push(value.text);
	else if (Array.isArray(value)) {
		parts.push('[');
		for (const [index, item] of value.entries()) {
			if (index > 0) parts.push(',');
			write(item, parts);
		}
		parts.push(']');
	} else if (typeof value === 'object' && value !== null) {
		parts.push('{');
		const entries = Object.entries(value).sort(([a], [b]) => byBytes(a, b));
		for (const [index, [key, item]] of entries.entries()) {
			parts.push(index > 0 ? ',' : '', text(key), ':');
			write(item, parts);
		}
		parts.push('}');
	} else if (typeof value === 'string') parts.push(text(value));
	else parts.push(String(value));
}

/** UTF-16 units order as bytes do, but for surrogates: they stand below the units after them, and their bytes above. */
function byBytes(a: string, b: string): number {
	if (SURROGATES.test(a) || SURROGATES.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
	return a < b ? -1 : a > b ? 1 : 0;
}

const SURROGATES = /[\ud800-\udfff]/;

/** encoding/json escapes the two line ends of JavaScript, which JSON.stringify leaves. */
const text = (value: string): string =>
	JSON.stringify(value).replace(/[\u2028\u2029]/g, char => (char === '\u2028' ? '\\u2028' : '\\u2029'));
