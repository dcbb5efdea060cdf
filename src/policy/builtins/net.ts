import { isIPv4, isIPv6 } from 'node:net';
import { aString, BuiltinFailure, isArray, isObject, members, RegoSet, type Value } from '../value.ts';
import type { BuiltinContext, Family } from './contract.ts';

/** `net.cidr_*` (RFC 4632, RFC 4291). Names are never looked up. */

const MAX_EXPANDED = 65_536n;
const MAX_PAIRS = 100_000;
/** Steps for comparing one. */
const PAIR = 16;

interface Range {
	readonly bits: 32 | 128;
	readonly first: bigint;
	readonly prefix: number;
}

const sizeOf = ({ bits, prefix }: Range): bigint => 1n << BigInt(bits - prefix);
const lastOf = (range: Range): bigint => range.first + sizeOf(range) - 1n;

function address(text: string): { readonly bits: 32 | 128; readonly value: bigint } {
	if (isIPv4(text))
		return { bits: 32, value: text.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n) };
	if (!isIPv6(text) || text.includes('%')) throw new BuiltinFailure('no IP address');
	const dotted = /:(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1];
	const low = dotted === undefined ? undefined : address(dotted).value;
	const plain =
		low === undefined || dotted === undefined
			? text
			: `${text.slice(0, -dotted.length)}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
	const [head = '', tail] = plain.split('::');
	const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
	const before = groups(head);
	const after = tail === undefined ? [] : groups(tail);
	const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
	const value = all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
	// Go holds mapped addresses as IPv4.
	return value >> 32n === 0xffffn ? { bits: 32, value: value & 0xffff_ffffn } : { bits: 128, value };
}

function cidr(text: string): Range {
	const match = /^([0-9a-fA-F:.]+)\/(0|[1-9]\d{0,2})$/.exec(text);
	if (match === null) throw new BuiltinFailure('no CIDR');
	const { bits, value } = address(match[1] ?? '');
	const prefix = Number(match[2]);
	if (prefix > bits) throw new BuiltinFailure('no CIDR');
	const host = BigInt(bits - prefix);
	return { bits, first: (value >> host) << host, prefix };
}

function cidrOrAddress(text: string): Range {
	if (text.includes('/')) return cidr(text);
	const { bits, value } = address(text);
	return { bits, first: value, prefix: bits };
}

/** OPA takes an address alone for the network of its class (RFC 791), and none for IPv6. */
function cidrOrNetwork(text: string): Range {
	if (text.includes('/')) return cidr(text);
	const { bits, value } = address(text);
	if (bits !== 32) throw new BuiltinFailure('no network');
	const top = value >> 24n;
	return cidr(`${text}/${top < 128n ? 8 : top < 192n ? 16 : 24}`);
}

const contains = (outer: Range, inner: Range): boolean =>
	outer.bits === inner.bits && outer.first <= inner.first && lastOf(inner) <= lastOf(outer);

/** In the shortest form (RFC 5952). */
function printAddress(bits: 32 | 128, value: bigint): string {
	if (bits === 32) return [24n, 16n, 8n, 0n].map(shift => String((value >> shift) & 0xffn)).join('.');
	const groups = Array.from({ length: 8 }, (_, index) => (value >> BigInt(112 - index * 16)) & 0xffffn);
	let best = { start: -1, length: 1 };
	for (let start = 0; start < 8; start++) {
		let length = 0;
		while (start + length < 8 && groups[start + length] === 0n) length++;
		if (length > best.length) best = { start, length };
	}
	const hex = (part: readonly bigint[]): string => part.map(group => group.toString(16)).join(':');
	if (best.start < 0) return hex(groups);
	return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}

function expand(range: Range): Value {
	if (sizeOf(range) > MAX_EXPANDED) throw new Error(`net.cidr_expand gives more than ${MAX_EXPANDED} addresses`);
	const addresses: Value[] = [];
	for (let value = range.first; value <= lastOf(range); value++) addresses.push(printAddress(range.bits, value));
	return new RegoSet(addresses);
}

/** What a match is named by, and the range. A collection names by index, key or member; a list begins with its range. */
function named(value: Value | undefined): readonly (readonly [Value, string])[] {
	const textOf = (item: Value): string => (isArray(item) ? aString(item[0]) : aString(item));
	if (typeof value === 'string') return [[value, value]];
	if (value instanceof RegoSet) return value.items.map(item => [item, textOf(item)] as const);
	if (value !== undefined && isArray(value)) return value.map((item, index) => [index, textOf(item)] as const);
	if (value !== undefined && isObject(value)) return [...value].map(([key, item]) => [key, textOf(item)] as const);
	throw new BuiltinFailure('operand must be a string, an array, a set or an object');
}

function containsMatches(outer: Value | undefined, inner: Value | undefined, { spend }: BuiltinContext): Value {
	const ranges = named(outer).map(([name, text]) => [name, cidrOrAddress(text)] as const);
	const candidates = named(inner).map(([name, text]) => [name, cidrOrAddress(text)] as const);
	if (ranges.length * candidates.length > MAX_PAIRS)
		throw new Error(`net.cidr_contains_matches compares more than ${MAX_PAIRS} pairs`);
	spend(ranges.length * candidates.length * PAIR);
	return new RegoSet(
		ranges.flatMap(([name, range]) =>
			candidates.filter(([, candidate]) => contains(range, candidate)).map(([other]) => [name, other]),
		),
	);
}

/** The fewest ranges that hold the same addresses. */
function merge(ranges: readonly Range[]): Value {
	const merged: { readonly bits: 32 | 128; readonly first: bigint; last: bigint }[] = [];
	for (const range of ranges.toSorted(
		(a, b) => a.bits - b.bits || (a.first < b.first ? -1 : a.first > b.first ? 1 : 0),
	)) {
		const before = merged.at(-1);
		const last = lastOf(range);
		if (before !== undefined && before.bits === range.bits && range.first <= before.last + 1n) {
			if (last > before.last) before.last = last;
		} else {
			merged.push({ bits: range.bits, first: range.first, last });
		}
	}
	return new RegoSet(merged.flatMap(({ bits, first, last }) => blocks(bits, first, last)));
}

function blocks(bits: 32 | 128, from: bigint, last: bigint): readonly string[] {
	const found: string[] = [];
	let first = from;
	while (first <= last) {
		let host = 0;
		while (host < bits && ((first >> BigInt(host)) & 1n) === 0n && first + (1n << BigInt(host + 1)) - 1n <= last)
			host++;
		found.push(`${printAddress(bits, first)}/${bits - host}`);
		first += 1n << BigInt(host);
	}
	return found;
}

function isValid(value: Value | undefined): boolean {
	try {
		cidr(aString(value));
		return true;
	} catch (error) {
		if (error instanceof BuiltinFailure) return false;
		throw error;
	}
}

export const NET: Family = {
	'net.cidr_contains_matches': ([outer, inner], context) => containsMatches(outer, inner, context),
	'net.cidr_expand': ([range]) => expand(cidr(aString(range))),
	'net.cidr_merge': ([ranges]) => merge(members(ranges).map(item => cidrOrNetwork(aString(item)))),
	'net.cidr_is_valid': ([range]) => isValid(range),
};
