import {
	anObject,
	aString,
	BuiltinFailure,
	equal,
	isArray,
	isObject,
	lookUp,
	members,
	RegoSet,
	type Value,
} from '../value.ts';
import type { Family } from './contract.ts';

/** Objects, arrays and sets as a whole. */

/** Whether the first holds the second: keys and values deeply, members, or for arrays a stretch. */
function subset(outer: Value | undefined, inner: Value | undefined): boolean {
	if (outer === undefined || inner === undefined || typeof outer !== 'object' || typeof inner !== 'object')
		throw new BuiltinFailure('operands must be collections');
	if (outer instanceof RegoSet && inner instanceof RegoSet)
		return inner.items.every(item => outer.items.some(other => equal(item, other)));
	if (outer === null || inner === null) throw new BuiltinFailure('operands must be collections');
	if (isObject(outer) && isObject(inner)) return [...inner].every(([key, item]) => holds(lookUp(outer, key), item));
	if (isArray(outer) && isArray(inner)) return stretch(outer, inner);
	if (isArray(outer) && inner instanceof RegoSet)
		return inner.items.every(item => outer.some(other => equal(item, other)));
	throw new BuiltinFailure('operands must be collections of one kind');
}

function holds(outer: Value | undefined, inner: Value): boolean {
	if (outer === undefined) return false;
	const collections =
		(isObject(outer) && isObject(inner)) ||
		(outer instanceof RegoSet && inner instanceof RegoSet) ||
		(isArray(outer) && isArray(inner));
	return collections ? subset(outer, inner) : equal(outer, inner);
}

function stretch(outer: readonly Value[], inner: readonly Value[]): boolean {
	for (let start = 0; start + inner.length <= outer.length; start++) {
		if (inner.every((item, index) => equal(item, outer[start + index] ?? null))) return true;
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
function patch(document: Value, operations: readonly Value[]): Value {
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
		if (kind === 'add') result = change(result, path, () => needed(), true);
		else if (kind === 'remove') result = change(result, path, () => undefined, false);
		else if (kind === 'replace') result = change(result, path, () => needed(), false);
		else if (kind === 'copy') result = change(result, path, () => at(result, from()), true);
		else if (kind === 'move') {
			const moved = at(result, from());
			result = change(
				change(result, from(), () => undefined, false),
				path,
				() => moved,
				true,
			);
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

/** The document with what lies at the path made anew; undefined removes it. `insert` may make what is not there. */
function change(document: Value, path: Path, make: () => Value | undefined, insert: boolean): Value {
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
		return placed(document, part, change(present, rest, make, insert), false);
	}
	if (present === undefined && !insert) throw new BuiltinFailure('there is nothing at the path');
	return placed(document, part, make(), insert);
}

function placed(document: Value, part: string, value: Value | undefined, insert: boolean): Value {
	if (document instanceof RegoSet) {
		const others = document.items.filter(item => item !== part && !(typeof item === 'number' && String(item) === part));
		return new RegoSet(value === undefined ? others : [...others, value]);
	}
	if (isArray(document)) {
		const items = [...document];
		const index = part === '-' ? items.length : Number(part);
		if (!/^(-|0|[1-9]\d{0,8})$/.test(part) || index > items.length) throw new BuiltinFailure('there is no such index');
		if (value === undefined) items.splice(index, 1);
		else items.splice(index, insert ? 0 : 1, value);
		return items;
	}
	const object = new Map(anObject(document));
	if (value === undefined) object.delete(part);
	else object.set(part, value);
	return object;
}

export const STRUCTURE: Family = {
	'object.subset': ([outer, inner]) => subset(outer, inner),
	'json.patch': ([document, operations]) => {
		if (document === undefined) return undefined;
		return patch(document, members(operations));
	},
};
