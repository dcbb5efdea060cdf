import { type Reader, Unmetered } from './reader.ts';

/**
 * Passes over instructions (WebAssembly Core Specification 2.0 §5.4): those of the first version, sign extension, saturating
 * conversion and bulk memory, which is what OPA's compiler writes. Vectors, references, tail calls and exceptions are not
 * known: what can loop in a way that is not seen here must not be let through.
 */

const BLOCK = 0x02;
export const LOOP = 0x03;
const IF = 0x04;
const END = 0x0b;
const BR = 0x0c;
const BR_IF = 0x0d;
const BR_TABLE = 0x0e;
const CALL = 0x10;
const CALL_INDIRECT = 0x11;
const GLOBAL_GET = 0x23;
const GLOBAL_SET = 0x24;
const PREFIX = 0xfc;

/** What stands after an opcode. */
type Immediate = 'none' | 'index' | 'memory' | 'i32' | 'i64' | 'f32' | 'f64' | 'zero';

const IMMEDIATES: ReadonlyMap<number, Immediate> = new Map<number, Immediate>([
	// unreachable, nop, else, return, drop, select
	...[0x00, 0x01, 0x05, 0x0f, 0x1a, 0x1b].map(code => [code, 'none'] as const),
	// local.get, local.set, local.tee
	...[0x20, 0x21, 0x22].map(code => [code, 'index'] as const),
	// loads and stores
	...range(0x28, 0x3e).map(code => [code, 'memory'] as const),
	// memory.size, memory.grow
	[0x3f, 'zero'],
	[0x40, 'zero'],
	[0x41, 'i32'],
	[0x42, 'i64'],
	[0x43, 'f32'],
	[0x44, 'f64'],
	// comparisons, arithmetic, conversions, sign extension
	...range(0x45, 0xc4).map(code => [code, 'none'] as const),
]);

/** How many numbers stand after 0xfc and its own: saturating conversions, memory.init, data.drop, memory.copy, memory.fill. */
const PREFIXED: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1];

function range(from: number, to: number): readonly number[] {
	return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** What is found on the way through one function. */
export interface Walk {
	/** Of the module as it was: a global beyond is none of its own. */
	readonly globals: number;
	/** After a loop's head, where its body begins. */
	loop(at: number): void;
	/** It calls something. */
	call(): void;
}

/** Walks to the end of the function's body; throws Unmetered on what is not known. */
export function walk(reader: Reader, { globals, loop, call }: Walk): void {
	let depth = 1;
	while (depth > 0) {
		const code = reader.byte();
		switch (code) {
			case BLOCK:
			case LOOP:
			case IF:
				// A type, or the index of one: 33 bits, signed.
				reader.skipLeb(5);
				depth++;
				if (code === LOOP) loop(reader.at);
				break;
			case END:
				depth--;
				break;
			case BR:
			case BR_IF:
				reader.u32();
				break;
			case BR_TABLE:
				for (let labels = reader.u32() + 1; labels > 0; labels--) reader.u32();
				break;
			case CALL:
				reader.u32();
				call();
				break;
			case CALL_INDIRECT:
				reader.u32();
				reader.u32();
				call();
				break;
			case GLOBAL_GET:
			case GLOBAL_SET:
				if (reader.u32() >= globals) throw new Unmetered('the module names a global that it does not have');
				break;
			case PREFIX:
				prefixed(reader);
				break;
			default:
				immediate(reader, code);
		}
	}
	if (!reader.done) throw new Unmetered('the module has a function that ends too soon');
}

function prefixed(reader: Reader): void {
	const code = reader.u32();
	const numbers = PREFIXED[code];
	if (numbers === undefined) throw unknown(`fc ${code.toString(16)}`);
	for (let index = 0; index < numbers; index++) reader.u32();
}

function immediate(reader: Reader, code: number): void {
	switch (IMMEDIATES.get(code)) {
		case 'none':
			break;
		case 'index':
			reader.u32();
			break;
		case 'memory':
			reader.u32();
			reader.u32();
			break;
		case 'zero':
			reader.byte();
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
