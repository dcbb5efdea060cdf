import { anArray, aSmallInteger, aString, BuiltinFailure, members, type Value } from '../value.ts';
import type { BuiltinContext, Family } from './contract.ts';
import { sprintf } from './sprintf.ts';

/** Strings, and what is written in them. */

/** Characters that are compared in the time of one step. */
const COMPARED = 8;

/** Any of these begins (ends) with any of those; each side is one string, or an array or set of them. */
function anyMatch(
	left: Value | undefined,
	right: Value | undefined,
	matches: (text: string, part: string) => boolean,
	spend: BuiltinContext['spend'],
): boolean {
	const texts = strings(left);
	const parts = strings(right);
	const longest = parts.reduce((most, part) => Math.max(most, part.length), 0);
	return texts.some(text => {
		spend(parts.length * (1 + Math.min(text.length, longest) / COMPARED));
		return parts.some(part => matches(text, part));
	});
}

const strings = (value: Value | undefined): readonly string[] =>
	typeof value === 'string' ? [value] : members(value).map(aString);

/** Positions count characters (code points), not UTF-16 units. */
function positions(text: string, part: string, spend: BuiltinContext['spend']): readonly number[] {
	if (part === '') throw new BuiltinFailure('empty search string');
	const characters = [...text];
	const searched = [...part];
	const found: number[] = [];
	for (let at = 0; at + searched.length <= characters.length; at++) {
		let same = 0;
		while (same < searched.length && characters[at + same] === searched[same]) same++;
		if (same === searched.length) found.push(at);
		spend(same + 1);
	}
	return found;
}

function count(text: string, part: string): number {
	// Go counts the places between characters.
	if (part === '') return [...text].length + 1;
	return text.split(part).length - 1;
}

/** The first pieces, or for a negative number the last ones. */
function splitN(text: string, delimiter: string, limit: number): readonly string[] {
	const pieces = delimiter === '' ? [...text] : text.split(delimiter);
	return limit < 0 ? pieces.slice(limit) : pieces.slice(0, limit);
}

const SEMVER =
	/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/;

/** Semantic Versioning 2.0.0 §11. */
function compareVersions(left: string, right: string): number {
	const a = SEMVER.exec(left);
	const b = SEMVER.exec(right);
	if (a === null || b === null) throw new BuiltinFailure('no semantic version');
	for (let part = 1; part <= 3; part++) {
		const order = compareNumerals(a[part] ?? '0', b[part] ?? '0');
		if (order !== 0) return order;
	}
	if (a[4] === b[4]) return 0;
	if (a[4] === undefined) return 1;
	if (b[4] === undefined) return -1;
	const one = a[4].split('.');
	const other = b[4].split('.');
	for (let index = 0; index < Math.max(one.length, other.length); index++) {
		const x = one[index];
		const y = other[index];
		if (x === undefined) return -1;
		if (y === undefined) return 1;
		const numeric = [/^\d+$/.test(x), /^\d+$/.test(y)] as const;
		if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1;
		const order = numeric[0] ? compareNumerals(x, y) : x < y ? -1 : x > y ? 1 : 0;
		if (order !== 0) return order;
	}
	return 0;
}

/** Without making numbers of them: that takes longer than linear time. */
function compareNumerals(left: string, right: string): number {
	const [a, b] = [left.replace(/^0+(?=\d)/, ''), right.replace(/^0+(?=\d)/, '')];
	return Math.sign(a.length - b.length) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Characters that mean something in `glob.match`. */
const quoteGlob = (text: string): string => text.replace(/[*?\\[\]{}]/g, '\\$&');

export const TEXT: Family = {
	sprintf: ([format, args]) => sprintf(aString(format), anArray(args)),
	'strings.any_prefix_match': ([left, right], { spend }) =>
		anyMatch(left, right, (text, part) => text.startsWith(part), spend),
	'strings.any_suffix_match': ([left, right], { spend }) =>
		anyMatch(left, right, (text, part) => text.endsWith(part), spend),
	'strings.count': ([text, part]) => count(aString(text), aString(part)),
	'strings.split_n': ([text, delimiter, limit]) => splitN(aString(text), aString(delimiter), aSmallInteger(limit)),
	indexof_n: ([text, part], { spend }) => positions(aString(text), aString(part), spend),
	'semver.is_valid': ([text]) => typeof text === 'string' && SEMVER.test(text),
	'semver.compare': ([left, right]) => compareVersions(aString(left), aString(right)),
	'glob.quote_meta': ([text]) => quoteGlob(aString(text)),
	trace: () => true,
};
