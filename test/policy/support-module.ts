import { gzipSync } from 'node:zlib';
import { leb } from '../../src/policy/meter/reader.ts';
import { writeTar } from '../../src/policy/tar.ts';

/** Modules with OPA's exports, written by hand: what no compiler of Rego would write. */

const I32 = 0x7f;
export const I64 = 0x7e;
const END = 0x0b;

export type Code = readonly number[];

export interface Func {
	/** Index of its type; 5: from nothing to nothing. */
	readonly type: number;
	/** Groups of locals, as they stand. */
	readonly locals?: Code;
	readonly code: Code;
}

export interface Module {
	/** Locals 0 to 6 are its operands. */
	readonly evaluate: Func['code'];
	/** Of one local more, an i32 by the number 7. */
	readonly local?: true;
	/** Beside the ABI's: the first has the index {@link FIRST}. */
	readonly functions?: readonly Func[];
	/** Types beside the six of the ABI. */
	readonly types?: readonly Code[];
	/** A function that runs while an instance is made. */
	readonly start?: number;
	/** Sections that are put in front of the one by this number. */
	readonly more?: Readonly<Record<number, Code>>;
	/** Exports beside the ABI's. */
	readonly exports?: number;
}

/** What `opa_eval` answers where it says so: an allow. */
export const ALLOWED = 3000;
/** Index of the first function beside the ABI's; `opa_abort` is 0. */
export const FIRST = 12;
export const NOTHING_TO_NOTHING = 5;

export const repeated = (count: number, code: Code): number[] => Array.from({ length: count }, () => code).flat();

/** `i32.const` */
export const constant = (value: number): number[] => {
	const bytes = [...leb(value)];
	const last = bytes.pop() ?? 0;
	return [0x41, ...bytes, ...(last >= 0x40 ? [last | 0x80, 0x00] : [last])];
};

/** The same again and again. */
export const forever = (code: Code): number[] => [0x03, 0x40, ...code, 0x0c, 0x00, END, ...constant(ALLOWED)];

const text = (value: string): number[] => [...leb(Buffer.byteLength(value)), ...Buffer.from(value)];
export const section = (id: number, body: Code): number[] => [id, ...leb(body.length), ...body];
const vector = (parts: readonly Code[]): number[] => [...leb(parts.length), ...parts.flat()];

const TYPES: readonly Code[] = [
	[0x60, 0, 1, I32],
	[0x60, 1, I32, 1, I32],
	[0x60, 1, I32, 0],
	[0x60, 2, I32, I32, 1, I32],
	[0x60, 7, ...repeated(7, [I32]), 1, I32],
	[0x60, 0, 0],
];
const TEXTS: readonly (readonly [number, string])[] = [
	[1024, '{}\0'],
	[2048, '{"sallyport/request":0,"sallyport/connect":0}\0'],
	[ALLOWED, '[{"result":{"allow":true}}]\0'],
];

export function moduleOf({
	evaluate,
	local,
	functions = [],
	types = [],
	start,
	more = {},
	exports = 0,
}: Module): Buffer {
	const same = [0x20, 0];
	const abi: readonly (Func & { readonly name: string })[] = [
		{ name: 'opa_eval', type: 4, code: evaluate, ...(local === undefined ? {} : { locals: [1, 1, I32] }) },
		{ name: 'opa_malloc', type: 1, code: constant(65_536) },
		{ name: 'opa_free', type: 2, code: [] },
		{ name: 'opa_value_dump', type: 1, code: same },
		{ name: 'opa_value_parse', type: 3, code: constant(1) },
		{ name: 'opa_json_dump', type: 1, code: same },
		{ name: 'opa_json_parse', type: 3, code: constant(1) },
		{ name: 'opa_heap_ptr_set', type: 2, code: [] },
		{ name: 'opa_heap_ptr_get', type: 0, code: constant(131_072) },
		{ name: 'builtins', type: 0, code: constant(1024) },
		{ name: 'entrypoints', type: 0, code: constant(2048) },
	];
	const all: readonly Func[] = [...abi, ...functions];
	const bodies = all.map(({ locals = [0], code }) => [
		...leb(locals.length + code.length + 1),
		...locals,
		...code,
		END,
	]);
	const exported = [
		...abi.map(({ name }, index) => [...text(name), 0, ...leb(index + 1)]),
		[...text('opa_wasm_abi_version'), 3, 0],
		[...text('opa_wasm_abi_minor_version'), 3, 1],
		...Array.from({ length: exports }, (_, index) => [...text(`more${index}`), 0, 1]),
	];
	const sections: readonly (readonly [number, Code])[] = [
		[1, vector([...TYPES, ...types])],
		[
			2,
			vector([
				[...text('env'), ...text('memory'), 2, 0, 2],
				[...text('env'), ...text('opa_abort'), 0, 2],
			]),
		],
		[3, vector(all.map(({ type }) => [...leb(type)]))],
		[
			6,
			vector([
				[I32, 0, ...constant(1), END],
				[I32, 0, ...constant(3), END],
			]),
		],
		[7, vector(exported)],
		...(start === undefined ? [] : [[8, [...leb(start)]] as const]),
		[10, vector(bodies)],
		[11, vector(TEXTS.map(([at, value]) => [0, ...constant(at), END, ...text(value)]))],
	];
	return Buffer.from([
		...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
		...sections.flatMap(([id, body]) => [...(more[id] ?? []), ...section(id, body)]),
	]);
}

/** A module that fails at each evaluation, and whose start fails once that has been. */
export const notAgain = (): Buffer =>
	moduleOf({
		// i32.store 500000 1; unreachable
		evaluate: [...constant(500_000), ...constant(1), 0x36, 0, 0, 0x00],
		start: FIRST,
		// if (i32.load 500000) unreachable
		functions: [{ type: NOTHING_TO_NOTHING, code: [...constant(500_000), 0x28, 0, 0, 0x04, 0x40, 0x00, END] }],
	});

/** The archive that a server or a file would have. */
export const archiveOf = (wasm: Buffer): Buffer => {
	const entries = ['request', 'connect'].map(phase => ({ entrypoint: `sallyport/${phase}`, module: '/policy.wasm' }));
	return gzipSync(
		writeTar([
			{ path: '.manifest', bytes: Buffer.from(JSON.stringify({ roots: [''], wasm: entries })) },
			{ path: 'data.json', bytes: Buffer.from('{}') },
			{ path: 'policy.wasm', bytes: wasm },
		]),
	);
};
