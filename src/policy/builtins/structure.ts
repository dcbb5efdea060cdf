import {
	anObject,
	aString,
	BuiltinFailure,
	equal,
	isArray,
	isObject,
	keyOf,
	lookUp,
	members,
	RegoSet,
	type Value,
} from '../value.ts';
import type { BuiltinContext, Family } from './contract.ts';

/** Objects, arrays and sets as a whole. */

/** Steps for copying an entry of an object. */
const ENTRY = 8;

type Spend = BuiltinContext['spend'];

/** Whether the first holds the second: keys and values deeply, members, or for arrays a stretch. */
function subset(outer: Value | undefined, inner: Value | undefined, spend: Spend): boolean {
	if (outer === undefined || inner === undefined || typeof outer !== 'object' || typeof inner !== 'object')
		throw new BuiltinFailure('operands must be collections');
	if (outer instanceof RegoSet && inner instanceof RegoSet) return allIn(inner.items, outer.items);
	if (outer === null || inner === null) throw new BuiltinFailure('operands must be collections');
	if (isObject(outer) && isObject(inner))
		return [...inner].every(([key, item]) => holds(lookUp(outer, key), item, spend));
	if (isArray(outer) && isArray(inner)) return stretch(outer, inner, spend);
	if (isArray(outer) && inner instanceof RegoSet) return allIn(inner.items, outer);
	throw new BuiltinFailure('operands must be collections of one kind');
}

function holds(outer: Value | undefined, inner: Value, spend: Spend): boolean {
	if (outer === undefined) return false;
	const collections =
		(isObject(outer) && isObject(inner)) ||
		(outer instanceof RegoSet && inner instanceof RegoSet) ||
		(isArray(outer) && isArray(inner));
	return collections ? subset(outer, inner, spend) : equal(outer, inner);
}

function allIn(inner: readonly Value[], outer: readonly Value[]): boolean {
	const keys = new Set(outer.map(keyOf));
	return inner.every(item => keys.has(keyOf(item)));
}

function stretch(outer: readonly Value[], inner: readonly Value[], spend: Spend): boolean {
	const keys = outer.map(keyOf);
	const wanted = inner.map(keyOf);
	for (let start = 0; start + wanted.length <= keys.length; start++) {
		let same = 0;
		while (same < wanted.length && wanted[same] === keys[start + same]) same++;
		if (same === wanted.length) return true;
		spend(same + 1);
	}
	return false;
}

type Path = readonly string[];

/** A JSON Pointer (RFC 6901), with or without the first slash, or its parts. */
function pathOf(value: Value | undefined): Path {
	if (value !== undefined && isArray(value))
		return value.map(part => (typeof part === 'number' ? String(part) : aString(part)));
	const text = aString(value).replace(/^\//, '');
	return text === '' ? [] : text.split('/').map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** JSON Patch (RFC 6902). An operation that cannot be done makes the whole undefined. */
function patch(document: Value, operations: readonly Value[], spend: Spend): Value {
	let result = document;
	for (const item of operations) {
		const operation = anObject(item);
		const kind = aString(operation.get('op'));
		const path = pathOf(operation.get('path'));
		const given = operation.get('value');
		const from = (): Path => pathOf(operation.get('from'));
		const needed = (): Value => {
			if (given === undefined) throw new BuiltinFailure('a value is missing');
			return given;
		};
		if (kind === 'add') result = change(result, path, { make: needed, insert: true, spend });
		else if (kind === 'remove') result = change(result, path, { make: nothing, insert: false, spend });
		else if (kind === 'replace') result = change(result, path, { make: needed, insert: false, spend });
		else if (kind === 'copy') result = change(result, path, { make: () => at(result, from()), insert: true, spend });
		else if (kind === 'move') {
			const moved = at(result, from());
			const without = change(result, from(), { make: nothing, insert: false, spend });
			result = change(without, path, { make: () => moved, insert: true, spend });
		} else if (kind === 'test') {
			if (!equal(at(result, path), needed())) throw new BuiltinFailure('a test failed');
		} else throw new BuiltinFailure('unknown operation');
	}
	return result;
}

function at(document: Value, path: Path): Value {
	let value: Value | undefined = document;
	for (const part of path) value = value === undefined ? undefined : child(value, part);
	if (value === undefined) throw new BuiltinFailure('there is nothing at the path');
	return value;
}

function child(value: Value, part: string): Value | undefined {
	if (value instanceof RegoSet)
		return value.items.find(item => item === part || (typeof item === 'number' && String(item) === part));
	if (isArray(value)) return /^(0|[1-9]\d{0,8})$/.test(part) ? value[Number(part)] : undefined;
	return typeof value === 'object' && value !== null ? lookUp(value, part) : undefined;
}

interface How {
	/** Undefined removes what is there. */
	readonly make: () => Value | undefined;
	/** It may make what is not there. */
	readonly insert: boolean;
	readonly spend: Spend;
}

const nothing = (): undefined => undefined;

/** The document with what lies at the path made anew. */
function change(document: Value, path: Path, how: How): Value {
	const { make, insert } = how;
	const [part, ...rest] = path;
	if (part === undefined) {
		const made = make();
		if (made === undefined) throw new BuiltinFailure('the whole document cannot be removed');
		return made;
	}
	if (typeof document !== 'object' || document === null) throw new BuiltinFailure('there is nothing at the path');
	const present = document instanceof RegoSet || !isArray(document) || part !== '-' ? child(document, part) : undefined;
	if (rest.length > 0) {
		if (present === undefined) throw new BuiltinFailure('there is nothing at the path');
		return placed(document, part, change(present, rest, how), { ...how, insert: false });
	}
	if (present === undefined && !insert) throw new BuiltinFailure('there is nothing at the path');
	return placed(document, part, make(), how);
}

function placed(document: Value, part: string, value: Value | undefined, { insert, spend }: How): Value {
	if (document instanceof RegoSet) {
		spend(document.items.length);
		const others = document.items.filter(item => item !== part && !(typeof item === 'number' && String(item) === part));
		return new RegoSet(value === undefined ? others : [...others, value]);
	}
	if (isArray(document)) {
		spend(document.length);
		const items = [...document];
		const index = part === '-' ? items.length : Number(part);
		if (!/^(-|0|[1-9]\d{0,8})$/.test(part) || index > items.length) throw new BuiltinFailure('there is no such index');
		if (value === undefined) items.splice(index, 1);
		else items.splice(index, insert ? 0 : 1, value);
		return items;
	}
	const object = new Map(anObject(document));
	spend(object.size * ENTRY);
	if (value === undefined) object.delete(part);
	else object.set(part, value);
	return object;
}

export const STRUCTURE: Family = {
	'object.subset': ([outer, inner], { spend }) => subset(outer, inner, spend),
	'json.patch': ([document, operations], { spend }) => {
		if (document === undefined) return undefined;
		return patch(document, members(operations), spend);
	},
};
