/**
 * Rego values as built-ins take and give them. WebAssembly hands them over as the text of Rego terms
 * (`opa_value_dump`), which is JSON and sets: `{1,2}`, `set()`, and objects whose keys may be any value.
 */

export class RegoSet {
	readonly items: readonly Value[];

	constructor(items: readonly Value[]) {
		this.items = items;
	}
}

export type RegoObject = ReadonlyMap<Value, Value>;

/** Integers beyond 2^53 are bigint, so that nanoseconds stay exact. */
export type Value = null | boolean | number | bigint | string | readonly Value[] | RegoSet | RegoObject;

/** A built-in cannot answer: the expression is undefined, as in OPA. */
export class BuiltinFailure extends Error {}

const MAX_DEPTH = 128;

/** Reads the text of a term; throws BuiltinFailure on what is no term or is nested too deeply. */
export function parseTerm(text: string): Value {
	const reader = new TermReader(text);
	const value = reader.value(0);
	if (!reader.done) throw new BuiltinFailure('bytes after the term');
	return value;
}

class TermReader {
	readonly #text: string;
	#at = 0;

	constructor(text: string) {
		this.#text = text;
	}

	get done(): boolean {
		this.#space();
		return this.#at === this.#text.length;
	}

	value(depth: number): Value {
		if (depth > MAX_DEPTH) throw new BuiltinFailure('nested too deeply');
		this.#space();
		const head = this.#text[this.#at];
		if (head === '"') return this.#string();
		if (head === '[') return this.#list(']', depth);
		if (head === '{') return this.#braces(depth);
		const word = /[a-zA-Z0-9+.()-]+/y;
		word.lastIndex = this.#at;
		const token = word.exec(this.#text)?.[0];
		if (token === undefined) throw new BuiltinFailure('no term');
		this.#at += token.length;
		if (token === 'true') return true;
		if (token === 'false') return false;
		if (token === 'null') return null;
		if (token === 'set()') return new RegoSet([]);
		return numberOf(token);
	}

	#space(): void {
		while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
	}

	#string(): string {
		const start = this.#at;
		let escaped = false;
		for (let at = start + 1; at < this.#text.length; at++) {
			const unit = this.#text.charCodeAt(at);
			if (unit === 0x5c) {
				escaped = true;
				at++;
			} else if (unit === 0x22) {
				this.#at = at + 1;
				if (!escaped) return this.#text.slice(start + 1, at);
				return String(JSON.parse(this.#text.slice(start, at + 1)));
			}
		}
		throw new BuiltinFailure('a string without an end');
	}

	#list(close: string, depth: number): Value[] {
		this.#at++;
		const items: Value[] = [];
		if (this.#takes(close)) return items;
		for (;;) {
			items.push(this.value(depth + 1));
			if (this.#takes(close)) return items;
			this.#expect(',');
		}
	}

	/** An object or a set: the first colon tells. */
	#braces(depth: number): Value {
		this.#at++;
		const object = new Map<Value, Value>();
		if (this.#takes('}')) return object;
		const first = this.value(depth + 1);
		if (!this.#takes(':')) {
			const items = [first];
			for (;;) {
				if (this.#takes('}')) return new RegoSet(items);
				this.#expect(',');
				items.push(this.value(depth + 1));
			}
		}
		object.set(first, this.value(depth + 1));
		for (;;) {
			if (this.#takes('}')) return object;
			this.#expect(',');
			const key = this.value(depth + 1);
			this.#expect(':');
			object.set(key, this.value(depth + 1));
		}
	}

	#takes(character: string): boolean {
		this.#space();
		if (this.#text[this.#at] !== character) return false;
		this.#at++;
		return true;
	}

	#expect(character: string): void {
		if (!this.#takes(character)) throw new BuiltinFailure(`expected ${character}`);
	}
}

function numberOf(token: string): number | bigint {
	const value = Number(token);
	if (Number.isNaN(value)) throw new BuiltinFailure('no number');
	if (/^-?\d+$/.test(token) && !Number.isSafeInteger(value)) return BigInt(token);
	return value;
}

/**
 * The text of a term, for `opa_value_parse`. `wrote` is told of every part with its length, and may throw: what holds the
 * same value in many places is far larger as a text.
 */
export function printTerm(value: Value, wrote: (characters: number) => void = () => {}): string {
	const print = (value: Value): string => {
		if (typeof value !== 'object' || value === null) {
			const text = scalarText(value);
			wrote(text.length);
			return text;
		}
		wrote(1);
		if (value instanceof RegoSet) return value.items.length === 0 ? 'set()' : `{${value.items.map(print).join(',')}}`;
		if (isObject(value)) return `{${[...value].map(([key, item]) => `${print(key)}:${print(item)}`).join(',')}}`;
		return `[${value.map(print).join(',')}]`;
	};
	return print(value);
}

function scalarText(value: null | boolean | number | bigint | string): string {
	if (typeof value === 'string') return JSON.stringify(value);
	if (typeof value === 'number' && !Number.isFinite(value)) throw new BuiltinFailure('no finite number');
	return String(value);
}

export const isObject = (value: Value): value is RegoObject => value instanceof Map;
export const isArray = (value: Value): value is readonly Value[] => Array.isArray(value);
export const isNumber = (value: Value): value is number | bigint =>
	typeof value === 'number' || typeof value === 'bigint';

/** Equality of Rego: numbers by value, sets and objects without order. */
export function equal(a: Value, b: Value): boolean {
	// A number and a bigint are never identical, but may be equal.
	if (isNumber(a) && isNumber(b)) return a >= b && a <= b;
	if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
	if (a instanceof RegoSet || b instanceof RegoSet) {
		return a instanceof RegoSet && b instanceof RegoSet && a.items.length === b.items.length && keyOf(a) === keyOf(b);
	}
	if (isObject(a) || isObject(b)) {
		if (!(isObject(a) && isObject(b)) || a.size !== b.size) return false;
		return [...a].every(([key, item]) => {
			const other = lookUp(b, key);
			return other !== undefined && equal(item, other);
		});
	}
	return a.length === b.length && a.every((item, index) => equal(item, b[index] ?? null));
}

/** A text that equal values share and others do not, so that many can be compared in the time that it takes to write them. */
export function keyOf(value: Value): string {
	if (typeof value === 'number')
		return Number.isInteger(value) && !Number.isSafeInteger(value) ? BigInt(value).toString() : String(value);
	if (value instanceof RegoSet) return `<${[...new Set(value.items.map(keyOf))].sort().join(',')}>`;
	if (typeof value === 'string') return JSON.stringify(value);
	if (typeof value !== 'object' || value === null) return String(value);
	if (isObject(value))
		return `{${[...value]
			.map(([key, item]) => `${keyOf(key)}:${keyOf(item)}`)
			.sort()
			.join(',')}}`;
	return `[${value.map(keyOf).join(',')}]`;
}

/** The value under a key; undefined when there is none. */
export function lookUp(object: RegoObject, key: Value): Value | undefined {
	const found = object.get(key);
	if (found !== undefined || typeof key === 'string') return found;
	for (const [other, item] of object) if (equal(other, key)) return item;
	return undefined;
}

// What built-ins demand of their operands: anything else makes the expression undefined.

export function aString(value: Value | undefined): string {
	if (typeof value !== 'string') throw new BuiltinFailure('operand must be a string');
	return value;
}

export function anInteger(value: Value | undefined): bigint {
	if (typeof value === 'bigint') return value;
	if (typeof value !== 'number' || !Number.isInteger(value)) throw new BuiltinFailure('operand must be an integer');
	return BigInt(value);
}

/** An integer that is used as an index or a count. */
export function aSmallInteger(value: Value | undefined): number {
	const integer = anInteger(value);
	if (integer > 0x7fffffffn || integer < -0x80000000n) throw new BuiltinFailure('operand is out of range');
	return Number(integer);
}

export function anArray(value: Value | undefined): readonly Value[] {
	if (value === undefined || !isArray(value)) throw new BuiltinFailure('operand must be an array');
	return value;
}

export function anObject(value: Value | undefined): RegoObject {
	if (value === undefined || !isObject(value)) throw new BuiltinFailure('operand must be an object');
	return value;
}

/** The members of an array or a set. */
export function members(value: Value | undefined): readonly Value[] {
	if (value instanceof RegoSet) return value.items;
	return anArray(value);
}

/** An integer as the smallest type that holds it exactly. */
export const integer = (value: bigint): number | bigint =>
	value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
