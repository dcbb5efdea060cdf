import { walk } from './instructions.ts';
import { leb, Reader, Unmetered } from './reader.ts';

/**
 * Meters a WebAssembly module: a counter, a global that is exported, is lowered at the beginning of every loop's body and of
 * every function that calls others, and below zero the module traps. So whatever takes long counts, and a policy that runs
 * away ends. What neither loops nor calls ends by itself.
 */

/** The export by which the counter is set and read. */
export const FUEL = 'sallyport_fuel';

const HEAD = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
/** Sections in the order in which they stand; 12 stands before 10 (§5.5). */
const ORDER: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
const IMPORT = 2;
const GLOBAL = 6;
const EXPORT = 7;
const CODE = 10;
const KIND_GLOBAL = 3;

interface Section {
	readonly id: number;
	readonly body: Buffer;
}

/** Throws Unmetered when the module cannot be read, or holds an instruction that is not known. */
export function meter(wasm: Buffer): Buffer {
	const sections = sectionsOf(wasm);
	const globals = importedGlobals(sections) + countOf(sections, GLOBAL);
	const metered = new Map<number, (body: Buffer) => Buffer>([
		[GLOBAL, withGlobal],
		[EXPORT, body => withExport(body, globals)],
		[CODE, body => withCounting(body, globals)],
	]);
	const parts: Buffer[] = [HEAD];
	const left = new Set([GLOBAL, EXPORT]);
	const write = (id: number, body: Buffer): void => {
		parts.push(Buffer.from([id]), leb(body.length), body);
	};
	/** Sections that the module does not have are made where they belong. */
	const make = (before: number): void => {
		for (const id of left) {
			if (ORDER.indexOf(id) >= before) continue;
			left.delete(id);
			write(id, metered.get(id)?.(leb(0)) ?? leb(0));
		}
	};
	for (const { id, body } of sections) {
		if (id !== 0) {
			make(ORDER.indexOf(id));
			left.delete(id);
		}
		write(id, metered.get(id)?.(body) ?? body);
	}
	make(ORDER.length);
	return Buffer.concat(parts);
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

function countOf(sections: readonly Section[], id: number): number {
	const section = sections.find(one => one.id === id);
	return section === undefined ? 0 : new Reader(section.body).u32();
}

function importedGlobals(sections: readonly Section[]): number {
	const section = sections.find(({ id }) => id === IMPORT);
	if (section === undefined) return 0;
	const reader = new Reader(section.body);
	let globals = 0;
	for (let left = reader.u32(); left > 0; left--) {
		reader.name();
		reader.name();
		const kind = reader.byte();
		if (kind === 0) reader.u32();
		else if (kind === 1) {
			reader.byte();
			limits(reader);
		} else if (kind === 2) limits(reader);
		else if (kind === KIND_GLOBAL) {
			reader.skip(2);
			globals++;
		} else throw new Unmetered('the module imports something that is not known');
	}
	return globals;
}

function limits(reader: Reader): void {
	const bounded = reader.byte();
	reader.u32();
	if (bounded & 1) reader.u32();
}

/** A mutable i32 that begins with the most that it can hold. */
function withGlobal(body: Buffer): Buffer {
	const reader = new Reader(body);
	const count = reader.u32();
	const counter = Buffer.from([0x7f, 0x01, 0x41, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0b]);
	return Buffer.concat([leb(count + 1), body.subarray(reader.at), counter]);
}

function withExport(body: Buffer, global: number): Buffer {
	const reader = new Reader(body);
	const count = reader.u32();
	const start = reader.at;
	for (let left = count; left > 0; left--) {
		if (reader.name() === FUEL) throw new Unmetered(`the module has an export ${FUEL} of its own`);
		const kind = reader.byte();
		if (reader.u32() >= global && kind === KIND_GLOBAL)
			throw new Unmetered('the module exports a global that it does not have');
	}
	const name = Buffer.from(FUEL);
	return Buffer.concat([
		leb(count + 1),
		body.subarray(start),
		leb(name.length),
		name,
		Buffer.from([KIND_GLOBAL]),
		leb(global),
	]);
}

function withCounting(body: Buffer, global: number): Buffer {
	const step = stepOf(global);
	const reader = new Reader(body);
	const count = reader.u32();
	const parts: Buffer[] = [leb(count)];
	for (let left = count; left > 0; left--) {
		const code = reader.part(reader.u32());
		const whole = { from: code.at, to: code.end };
		for (let groups = code.u32(); groups > 0; groups--) {
			code.u32();
			code.byte();
		}
		const begin = code.at;
		const places: number[] = [];
		let calls = false;
		walk(code, {
			globals: global,
			loop: at => places.push(at),
			call: () => {
				calls = true;
			},
		});
		if (calls) places.unshift(begin);
		parts.push(leb(whole.to - whole.from + places.length * step.length));
		let from = whole.from;
		for (const at of places) {
			parts.push(body.subarray(from, at), step);
			from = at;
		}
		parts.push(body.subarray(from, whole.to));
	}
	if (!reader.done) throw new Unmetered('the module has code that no function is');
	return Buffer.concat(parts);
}

/** `counter = counter - 1; if (counter < 0) unreachable`. */
function stepOf(global: number): Buffer {
	const index = leb(global);
	return Buffer.concat([
		...[[0x23], index, [0x41, 0x01, 0x6b, 0x24], index, [0x23], index].map(part => Buffer.from(part)),
		Buffer.from([0x41, 0x00, 0x48, 0x04, 0x40, 0x00, 0x0b]),
	]);
}
