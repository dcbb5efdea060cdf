import { type Reader, Unmetered } from './reader.ts';

/**
 * Passes over instructions (WebAssembly Core Specification 2.0 §5.4): those of the first version, sign extension and saturating
 * conversion, which is what OPA's compiler writes. Bulk memory, several values, vectors, references, tail calls and exceptions are not known:
 * what takes long in a way that is not seen here must not be let through.
 */

const UNREACHABLE = 0x00;
const BLOCK = 0x02;
const LOOP = 0x03;
const IF = 0x04;
const ELSE = 0x05;
const END = 0x0b;
const BR = 0x0c;
const BR_IF = 0x0d;
const BR_TABLE = 0x0e;
const RETURN = 0x0f;
const CALL = 0x10;
const CALL_INDIRECT = 0x11;
const GLOBAL_GET = 0x23;
const GLOBAL_SET = 0x24;
const MEMORY_GROW = 0x40;
const PREFIX = 0xfc;
/** The last of the saturating conversions, behind the prefix. */
const LAST_CONVERSION = 7;

const NO_VALUE = 0x40;
/** i32, i64, f32, f64: one byte each (§5.3.1). */
export const VALUE_TYPES: ReadonlySet<number> = new Set([0x7f, 0x7e, 0x7d, 0x7c]);

/** What stands after an opcode. */
type Immediate = 'none' | 'index' | 'memory' | 'zero' | 'i32' | 'i64' | 'f32' | 'f64';

const IMMEDIATES: readonly (Immediate | undefined)[] = immediates([
	// nop, drop, select
	['none', [0x01, 0x1a, 0x1b]],
	// local.get, local.set, local.tee
	['index', [0x20, 0x21, 0x22]],
	// loads and stores
	['memory', range(0x28, 0x3e)],
	// memory.size, memory.grow
	['zero', [0x3f, MEMORY_GROW]],
	['i32', [0x41]],
	['i64', [0x42]],
	['f32', [0x43]],
	['f64', [0x44]],
	// comparisons, arithmetic, conversions, sign extension
	['none', range(0x45, 0xc4)],
]);

function range(from: number, to: number): readonly number[] {
	return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function immediates(rows: readonly (readonly [Immediate, readonly number[]])[]): readonly (Immediate | undefined)[] {
	const table: (Immediate | undefined)[] = new Array<undefined>(256).fill(undefined);
	for (const [immediate, codes] of rows) for (const code of codes) table[code] = immediate;
	return table;
}

/** What one instruction costs beside a usual one; division, and what waits for memory. */
const COSTS: readonly number[] = range(0, 0xff).map(code =>
	(code >= 0x6d && code <= 0x70) || (code >= 0x7f && code <= 0x82) ? 8 : code >= 0x28 && code <= 0x3e ? 2 : 1,
);

/** Whoever walks is told of instructions in their order. `at`: where the instruction begins; `after`: what follows it. */
export interface Walk {
	/** Of the module as it was: a global beyond is none of its own. */
	readonly globals: number;
	plain(at: number, cost: number): void;
	/** The memory grows, which takes as long as the system likes. */
	grow(at: number): void;
	/** A block, a loop or a condition begins. */
	enter(at: number, after: number, kind: 'block' | 'loop' | 'if'): void;
	otherwise(): void;
	/** Of what was entered last, and in the end of the function. */
	end(): void;
	/** It may go on behind (or, of a loop, at the head of) what was entered `depth` before the last. */
	branch(at: number, depth: number): void;
	/** It never goes on with the next instruction: behind `br`, `br_table`, `unreachable`. */
	stop(): void;
	return(at: number): void;
	/** Of a function by its index; undefined: of one in a table. */
	call(at: number, after: number, index: number | undefined): void;
}

/** Walks to the end of the function's body; throws Unmetered on what is not known. */
export function walk(reader: Reader, told: Walk): void {
	let depth = 1;
	while (depth > 0) {
		const at = reader.at;
		const code = reader.byte();
		switch (code) {
			case BLOCK:
			case LOOP:
			case IF:
				blockType(reader);
				depth++;
				told.enter(at, reader.at, code === LOOP ? 'loop' : code === IF ? 'if' : 'block');
				break;
			case ELSE:
				told.otherwise();
				break;
			case END:
				depth--;
				told.end();
				break;
			case BR:
				told.branch(at, reader.u32());
				told.stop();
				break;
			case BR_IF:
				told.branch(at, reader.u32());
				break;
			case BR_TABLE:
				for (let labels = reader.u32() + 1; labels > 0; labels--) told.branch(at, reader.u32());
				told.stop();
				break;
			case UNREACHABLE:
				told.stop();
				break;
			case RETURN:
				told.return(at);
				break;
			case CALL: {
				const index = reader.u32();
				told.call(at, reader.at, index);
				break;
			}
			case CALL_INDIRECT:
				reader.u32();
				reader.u32();
				told.call(at, reader.at, undefined);
				break;
			case GLOBAL_GET:
			case GLOBAL_SET:
				if (reader.u32() >= told.globals) throw new Unmetered('the module names a global that it does not have');
				told.plain(at, 1);
				break;
			case MEMORY_GROW:
				immediate(reader, code);
				told.grow(at);
				break;
			case PREFIX: {
				const conversion = reader.u32();
				if (conversion > LAST_CONVERSION) throw unknown(`fc ${conversion.toString(16)}`);
				told.plain(at, 1);
				break;
			}
			default:
				immediate(reader, code);
				told.plain(at, COSTS[code] ?? 1);
		}
	}
	if (!reader.done) throw new Unmetered('the module has a function that ends too soon');
}

/** Nothing or one value (§5.4.1). What has the index of a type could move a thousand values at each branch. */
function blockType(reader: Reader): void {
	const type = reader.byte();
	if (type !== NO_VALUE && !VALUE_TYPES.has(type))
		throw new Unmetered('the module has a block of a type that is not known');
}

function immediate(reader: Reader, code: number): void {
	switch (IMMEDIATES[code]) {
		case 'none':
			break;
		case 'index':
			reader.u32();
			break;
		case 'memory':
			// From 64 on the index of a memory follows, which would be read as an instruction.
			if (reader.u32() >= 64) throw new Unmetered('the module has more than one memory');
			reader.u32();
			break;
		case 'zero':
			if (reader.byte() !== 0) throw new Unmetered('the module has more than one memory');
			break;
		case 'i32':
			reader.skipLeb(5);
			break;
		case 'i64':
			reader.skipLeb(10);
			break;
		case 'f32':
			reader.skip(4);
			break;
		case 'f64':
			reader.skip(8);
			break;
		case undefined:
			throw unknown(code.toString(16));
	}
}

const unknown = (code: string): Unmetered =>
	new Unmetered(`the module has an instruction that cannot be metered (0x${code}); \`policy.fuel: 0\` meters nothing`);
