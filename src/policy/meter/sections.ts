import { VALUE_TYPES } from './instructions.ts';
import { Reader, tooLarge, Unmetered } from './reader.ts';

/** What is read of a module beside its code (WebAssembly Core Specification 2.0 §5.5). */

export const HEAD = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
/** Sections in the order in which they stand; 12 stands before 10. */
export const ORDER: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
const TYPE = 1;
const IMPORT = 2;
const FUNCTION = 3;
const TABLE = 4;
const MEMORY = 5;
export const GLOBAL = 6;
export const EXPORT = 7;
const ELEMENT = 9;
export const CODE = 10;
const MEMORY_KIND = 2;
export const KIND_GLOBAL = 3;
const FUNCTION_TYPE = 0x60;
/** `funcref` */
const FUNCTIONS = 0x70;
/** Types, functions, or values of one: a thousand rules have some thousand functions. */
const MOST = 200_000;
/**
 * What is made with each instance, and so after each failure of a policy: modules of OPA have 3 globals, 26 exports, and a
 * table of a hundred functions and more.
 */
const MOST_GLOBALS = 1000;
const MOST_EXPORTS = 1000;
const MOST_IN_TABLE = 65_536;
const MOST_OF_ELEMENTS = 256 * 1024;
/** Of an imported function: OPA's have six at most, and each takes longer to hand over than a step pays for. */
const MOST_TO_HOST = 16;

export interface Section {
	readonly id: number;
	readonly body: Buffer;
}

export interface Layout {
	readonly sections: readonly Section[];
	/** Functions that are imported: their indices come first. */
	readonly imported: number;
	/** Of each of the module's own functions, how many parameters it has. */
	readonly parameters: readonly number[];
	readonly globals: number;
}

/** Throws Unmetered when the module cannot be read. */
export function layoutOf(wasm: Buffer): Layout {
	const sections = sectionsOf(wasm);
	const of = (id: number): Reader | undefined => {
		const section = sections.find(one => one.id === id);
		return section === undefined ? undefined : new Reader(section.body);
	};
	const types = typesOf(of(TYPE));
	const imports = importsOf(of(IMPORT), types);
	checkInstance(of(TABLE), of(GLOBAL)?.u32() ?? 0, of(EXPORT)?.u32() ?? 0, of(ELEMENT)?.end ?? 0);
	const parameters: number[] = [];
	const named = of(FUNCTION);
	for (let left = countOf(named); left > 0; left--) {
		const type = types[named?.u32() ?? -1];
		if (type === undefined) throw new Unmetered('the module has a function of a type that it does not have');
		parameters.push(type);
	}
	const memory = of(MEMORY);
	// Several could be told apart by numbers that stand where none is looked for.
	if ((memory?.u32() ?? 0) > 1) throw new Unmetered('the module has more than one memory');
	if (memory?.done === false) limits(memory);
	return { sections, imported: imports.functions, parameters, globals: imports.globals + (of(GLOBAL)?.u32() ?? 0) };
}

function sectionsOf(wasm: Buffer): readonly Section[] {
	if (!wasm.subarray(0, HEAD.length).equals(HEAD)) throw new Unmetered('not a WebAssembly module of version 1');
	const reader = new Reader(wasm, HEAD.length);
	const sections: Section[] = [];
	let place = -1;
	while (!reader.done) {
		const id = reader.byte();
		const part = reader.part(reader.u32());
		if (id !== 0) {
			const next = ORDER.indexOf(id);
			if (next <= place) throw new Unmetered('the module has a section that is not known, or out of order');
			place = next;
		}
		sections.push({ id, body: wasm.subarray(part.at, part.end) });
	}
	return sections;
}

/** How many parameters each type of functions has. */
function typesOf(reader: Reader | undefined): readonly number[] {
	const types: number[] = [];
	for (let left = countOf(reader); reader !== undefined && left > 0; left--) {
		if (reader.byte() !== FUNCTION_TYPE) throw new Unmetered('the module has a type that is not known');
		types.push(values(reader));
		if (values(reader) > 1) throw new Unmetered('the module has a function that gives several values');
	}
	return types;
}

function countOf(reader: Reader | undefined): number {
	const count = reader?.u32() ?? 0;
	if (count > MOST) throw tooLarge();
	return count;
}

/** Passes over the types of values, and says how many they are. */
function values(reader: Reader): number {
	const count = countOf(reader);
	for (let left = count; left > 0; left--) valueType(reader);
	return count;
}

/** Passes over one byte; throws Unmetered on types that may be longer. */
export function valueType(reader: Reader): void {
	if (!VALUE_TYPES.has(reader.byte())) throw new Unmetered('the module has values of a type that is not known');
}

/** `elements`: bytes of that section, each of which is a function at most. */
function checkInstance(table: Reader | undefined, globals: number, exports: number, elements: number): void {
	if (globals > MOST_GLOBALS || exports > MOST_EXPORTS || elements > MOST_OF_ELEMENTS) throw tooLarge();
	const tables = table?.u32() ?? 0;
	if (table === undefined || tables === 0) return;
	// A table of another kind says so where this one has the kind of its limits.
	if (tables > 1 || table.byte() !== FUNCTIONS || table.byte() > 1)
		throw new Unmetered('the module has tables of a kind that is not known');
	if (table.u32() > MOST_IN_TABLE) throw tooLarge();
}

function importsOf(
	reader: Reader | undefined,
	types: readonly number[],
): { readonly functions: number; readonly globals: number } {
	let functions = 0;
	let globals = 0;
	for (let left = reader?.u32() ?? 0; reader !== undefined && left > 0; left--) {
		reader.name();
		reader.name();
		const kind = reader.byte();
		if (kind === 0) {
			const parameters = types[reader.u32()];
			if (parameters === undefined || parameters > MOST_TO_HOST)
				throw new Unmetered('the module imports a function of a type that is not known');
			functions++;
		} else if (kind === MEMORY_KIND) limits(reader);
		else if (kind === KIND_GLOBAL) {
			valueType(reader);
			reader.skip(1);
			globals++;
		} else throw new Unmetered('the module imports something that is not known');
	}
	return { functions, globals };
}

function limits(reader: Reader): void {
	const bounded = reader.byte();
	// Beyond: shared, of 64 bits, of other pages.
	if (bounded > 1) throw new Unmetered('the module has a memory of a kind that is not known');
	reader.u32();
	if (bounded === 1) reader.u32();
}
