import { A_STEP, type Cost, type Func, functionOf, MOST_PLACES } from './flow.ts';
import { leb, Reader, tooLarge, Unmetered } from './reader.ts';
import { CODE, EXPORT, GLOBAL, HEAD, KIND_GLOBAL, type Layout, layoutOf, ORDER } from './sections.ts';

/**
 * Meters a WebAssembly module: a counter, a global that is exported, is lowered at each turn of a loop and after so many
 * instructions, and below zero the module traps. So whatever takes long counts, and a policy that runs away ends.
 */

/** The export by which the counter is set and read. */
export const FUEL = 'sallyport_fuel';
/**
 * Steps for what runs while an instance is made, before anybody can set the counter, with one more for each byte of the
 * module: OPA's take some four hundred, and 0.3 a byte where references choose among thousands of packages. After a failure
 * nobody else pays for it.
 */
const AT_START = 100_000;
const MOST_AT_START = 10_000_000;
const LONGEST_CHAIN = 100;
/**
 * Locals where ways part or meet, of all functions together: V8 was seen to take 33 ns for each to compile them, and
 * gigabytes for functions with more. A thousand rules were seen to have a million, six hundred variables in one rule ten, two
 * thousand objects that stand in one rule thirty-two.
 */
const MOST_MERGES = 50_000_000;

/** Throws Unmetered when the module cannot be read, or holds an instruction that is not known. */
export function meter(wasm: Buffer): Buffer {
	const layout = layoutOf(wasm);
	const { sections, globals } = layout;
	const metered = new Map<number, (body: Buffer) => Buffer>([
		[GLOBAL, body => withGlobal(body, Math.min(AT_START + wasm.length, MOST_AT_START))],
		[EXPORT, body => withExport(body, globals)],
		[CODE, body => withCounting(body, layout)],
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

/** A mutable i32. Before anybody sets it, what runs when an instance is made has this much. */
function withGlobal(body: Buffer, atStart: number): Buffer {
	const reader = new Reader(body);
	const count = reader.u32();
	const counter = Buffer.concat([Buffer.from([I32, 0x01]), constant(atStart), Buffer.from([END])]);
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

function withCounting(body: Buffer, { parameters, imported, globals }: Layout): Buffer {
	const reader = new Reader(body);
	if (reader.u32() !== parameters.length) throw new Unmetered('the module has not as many functions as it says');
	const codes = parameters.map(count => ({ count, code: reader.part(reader.u32()) }));
	if (!reader.done) throw new Unmetered('the module has code that no function is');
	const functions: (Func | undefined)[] = [];
	/** Those that are being read, each called by the one before. */
	const way = new Set<number>();
	let places = 0;
	let merges = 0;
	/** Functions are read before those that call them; what calls itself, or in long chains, is not known then. */
	const read = (own: number): Func => {
		const { count, code } = codes[own] ?? {};
		if (count === undefined || code === undefined)
			throw new Unmetered('the module calls a function that it does not have');
		way.add(own);
		const func = functionOf(code, count, globals, index => {
			if (index < imported) return HOST;
			const callee = index - imported;
			if (functions[callee] !== undefined) return functions[callee].cost;
			return way.has(callee) || way.size > LONGEST_CHAIN ? undefined : read(callee).cost;
		});
		way.delete(own);
		functions[own] = func;
		places += func.steps.length + func.returns.length;
		merges += func.merges;
		if (places > MOST_PLACES || merges > MOST_MERGES) throw tooLarge();
		return func;
	};
	const parts: Buffer[] = [leb(parameters.length)];
	const counter = leb(globals);
	const plain = bytes(0x23, counter, MINUS_ONE, 0x24, counter, 0x23, counter, TRAP_BELOW_ZERO);
	for (const own of codes.keys()) {
		const func = functions[own] ?? read(own);
		const code = Buffer.concat(func.loops ? countingTurns(body, func, counter) : counting(body, func, plain));
		parts.push(leb(code.length), code);
	}
	return Buffer.concat(parts);
}

/** What the host does for the module lowers the counter itself; coming to the host takes as long as a step. */
const HOST: Cost = { unpaid: A_STEP, changes: true };
const I32 = 0x7f;
const END = 0x0b;
const constant = (value: number): Buffer => Buffer.concat([Buffer.from([0x41]), signedLeb(value)]);
const bytes = (...parts: readonly (Buffer | number)[]): Buffer =>
	Buffer.concat(parts.map(part => (typeof part === 'number' ? Buffer.from([part]) : part)));
const MINUS_ONE = bytes(0x41, 0x01, 0x6b);
/** `if (it < 0) unreachable` */
const TRAP_BELOW_ZERO = bytes(0x41, 0x00, 0x48, 0x04, 0x40, 0x00, END);

/** The parts of a function's code without loops, with its steps. */
const counting = (body: Buffer, { groupsAt, groups, end, steps }: Func, step: Buffer): readonly Buffer[] => [
	leb(groups),
	...woven(
		body,
		groupsAt,
		end,
		steps.map(at => ({ at, insert: step })),
	),
];

/** The same with loops: a local of its own holds what the counter is, so that no turn of a loop waits for memory. */
function countingTurns(
	body: Buffer,
	{ groupsAt, groups, locals, begin, end, steps, returns }: Func,
	counter: Buffer,
): readonly Buffer[] {
	const local = leb(locals);
	const load = bytes(0x23, counter, 0x21, local);
	const step = bytes(0x20, local, MINUS_ONE, 0x22, local, 0x24, counter, 0x20, local, TRAP_BELOW_ZERO);
	const places = [
		{ at: begin, insert: load },
		...returns.map(at => ({ at, insert: load })),
		...steps.map(at => ({ at, insert: step })),
	].toSorted((a, b) => a.at - b.at);
	return [leb(groups + 1), body.subarray(groupsAt, begin), bytes(0x01, I32), ...woven(body, begin, end, places)];
}

interface Insertion {
	readonly at: number;
	readonly insert: Buffer;
}

function woven(body: Buffer, begin: number, end: number, places: readonly Insertion[]): readonly Buffer[] {
	const parts: Buffer[] = [];
	let from = begin;
	for (const { at, insert } of places) {
		parts.push(body.subarray(from, at), insert);
		from = at;
	}
	return [...parts, body.subarray(from, end)];
}

/** LEB128, signed, of what is not below zero. */
function signedLeb(value: number): Buffer {
	const bytes = [...leb(value)];
	const last = bytes.at(-1) ?? 0;
	// Its seventh bit would be read as the sign.
	if (last >= 0x40) bytes.splice(-1, 1, last | 0x80, 0x00);
	return Buffer.from(bytes);
}
