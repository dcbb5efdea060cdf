import { isArray, isNumber, isObject, RegoSet, type Value } from '../value.ts';

/** The order of Rego's values: null, booleans, numbers, strings, arrays, objects, sets. */

function rank(value: Value): number {
	if (value === null) return 0;
	if (typeof value === 'boolean') return 1;
	if (isNumber(value)) return 2;
	if (typeof value === 'string') return 3;
	if (value instanceof RegoSet) return 6;
	return isObject(value) ? 5 : 4;
}

/** Strings are compared by their UTF-8 bytes, as in Go. */
const compareStrings = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)));

export function compare(a: Value, b: Value): number {
	const order = rank(a) - rank(b);
	if (order !== 0) return order;
	if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
	if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
	if (typeof a === 'boolean' || a === null) return Number(a) - Number(b);
	if (a instanceof RegoSet && b instanceof RegoSet)
		return compareLists(a.items.toSorted(compare), b.items.toSorted(compare));
	if (typeof a === 'object' && isObject(a) && typeof b === 'object' && b !== null && isObject(b)) {
		const sorted = (object: ReadonlyMap<Value, Value>): Value[] =>
			[...object].toSorted(([x], [y]) => compare(x, y)).flat();
		return compareLists(sorted(a), sorted(b));
	}
	return typeof a === 'object' && isArray(a) && typeof b === 'object' && b !== null && isArray(b)
		? compareLists(a, b)
		: 0;
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
	for (const [index, item] of a.entries()) {
		const other = b[index];
		if (other === undefined) return 1;
		const order = compare(item, other);
		if (order !== 0) return order;
	}
	return a.length - b.length;
}
