import { setFlagsFromString } from 'node:v8';
import type { LoadedPolicy } from '@open-policy-agent/opa-wasm';
import * as opaWasm from '@open-policy-agent/opa-wasm';
import { FUEL } from './meter/meter.ts';

/**
 * Compiled modules of OPA in WebAssembly, ABI 1.2 or later, and their data in memory: what takes long, and can be done in
 * another thread than the one that evaluates.
 */

/** Its types say nothing of the default, which alone holds the class. */
const { default: opa } = opaWasm as unknown as {
	readonly default: { readonly LoadedPolicy: typeof LoadedPolicy };
};

export const PAGE = 65_536;
/** Enough for a module without data. */
const FIRST_PAGES = 8;
/**
 * What a byte of data takes when it is read, and some: small objects were seen to take 10.5. Memory that grew while data is
 * read would grow by a page at a time, and V8 collects garbage after every few. What is not written to is not resident.
 */
const PER_BYTE = 12;

/** The greatest number that the counter of a metered module holds. */
export const MOST_STEPS = 0x7fffffff;

export type Exports = {
	readonly opa_eval: (
		reserved: number,
		entrypoint: number,
		data: number,
		input: number,
		length: number,
		heap: number,
		format: number,
	) => number;
	readonly opa_malloc: (size: number) => number;
	readonly opa_free: (address: number) => void;
	readonly opa_value_dump: (address: number) => number;
	readonly opa_value_parse: (address: number, length: number) => number;
	readonly opa_json_dump: (address: number) => number;
	readonly opa_heap_ptr_set: (address: number) => void;
	readonly builtins: () => number;
	readonly opa_wasm_abi_version: WebAssembly.Global;
	readonly opa_wasm_abi_minor_version: WebAssembly.Global;
	readonly [FUEL]?: WebAssembly.Global;
};

/** Why a module is refused at load. */
export class ModuleRefused extends Error {
	/** Names of built-ins that are neither in WebAssembly nor supplied. */
	readonly missing: readonly string[];

	constructor(message: string, missing: readonly string[] = []) {
		super(message);
		this.missing = missing;
	}
}

/** What is known of a module whose data is in memory. Addresses are bytes from its beginning. */
export interface ModuleFacts {
	/** The data document. */
	readonly data: number;
	/** Where its own variables end and data begins, and where data ends. */
	readonly base: number;
	readonly heap: number;
	/** Bytes of memory, in whole pages. */
	readonly bytes: number;
	/** Numbers of the host's built-ins and of the entry points, by name. */
	readonly builtins: Readonly<Record<string, number>>;
	readonly entrypoints: Readonly<Record<string, number>>;
}

/** A module with its data, to make an engine of. */
export interface Prepared extends ModuleFacts {
	readonly module: WebAssembly.Module;
	/** What stands from `heap` on is nothing. */
	readonly memory: WebAssembly.Memory;
}

export interface PrepareOptions {
	/** Greatest memory in bytes. */
	readonly memory: number;
	/** Names of the built-ins that are supplied. */
	readonly builtins: { has(name: string): boolean };
	/** More than 0 for a module that must be metered. */
	readonly fuel?: number;
}

/** Pages that memory of so many bytes may have. */
export const pagesOf = (bytes: number): number => Math.max(FIRST_PAGES, Math.floor(bytes / PAGE));

/**
 * All of it at once. V8 compiles a function when it is called first, while every other call waits: two thousand objects that stand
 * in one rule took half a second. What is compiled here is so in every thread that the module is handed to. Throws
 * WebAssembly.CompileError.
 */
export function compileModule(wasm: ConstructorParameters<typeof WebAssembly.Module>[0]): WebAssembly.Module {
	setFlagsFromString('--no-wasm-lazy-compilation');
	try {
		return new WebAssembly.Module(wasm);
	} finally {
		setFlagsFromString('--wasm-lazy-compilation');
	}
}

/** Throws ModuleRefused. `data` is the text of the bundle's data document; reading it takes most of the time. */
export function prepareModule(module: WebAssembly.Module, data: Uint8Array, options: PrepareOptions): Prepared {
	try {
		const maximum = pagesOf(options.memory);
		const initial = Math.min(maximum, FIRST_PAGES + Math.ceil((data.length * PER_BYTE) / PAGE));
		const memory = new WebAssembly.Memory({ initial, maximum });
		const text = (address: number): string => {
			const bytes = Buffer.from(memory.buffer);
			return bytes.toString('utf8', address, bytes.indexOf(0, address));
		};
		const imports = importsOf(memory, text, id => {
			throw new Error(`built-in function ${id} is not there`);
		});
		const instance = new WebAssembly.Instance(module, imports);
		const exports = instance.exports as unknown as Exports;
		if ((options.fuel ?? 0) > 0 && exports[FUEL] === undefined) throw new ModuleRefused('the module is not metered');
		if (exports[FUEL] !== undefined) exports[FUEL].value = MOST_STEPS;
		const major: unknown = exports.opa_wasm_abi_version?.value;
		const minor: unknown = exports.opa_wasm_abi_minor_version?.value;
		if (major !== 1 || typeof minor !== 'number' || minor < 2)
			throw new ModuleRefused('the module is not of OPA ABI 1.2 or later');
		const loaded = new opa.LoadedPolicy({ module, instance }, memory, minor);
		const builtins = JSON.parse(text(exports.opa_json_dump(exports.builtins()))) as Record<string, number>;
		const missing = Object.keys(builtins)
			.filter(name => !options.builtins.has(name))
			.sort();
		if (missing.length > 0)
			throw new ModuleRefused(`built-in functions that cannot be evaluated here: ${missing.join(', ')}`, missing);
		const base: number = loaded.baseHeapPtr;
		loaded.setData(new Uint8Array(data).buffer);
		return {
			module,
			memory,
			data: loaded.dataAddr,
			base,
			heap: (loaded.dataHeapPtr + 15) & ~15,
			bytes: memory.buffer.byteLength,
			builtins,
			entrypoints: loaded.entrypoints as Record<string, number>,
		};
	} catch (error) {
		if (error instanceof ModuleRefused) throw error;
		throw new ModuleRefused(`the module cannot be loaded within ${options.memory} bytes of memory: ${reason(error)}`);
	}
}

/** What a module of OPA wants of its host. */
export function importsOf(
	memory: WebAssembly.Memory,
	text: (address: number) => string,
	call: (id: number, ...operands: readonly number[]) => number,
): ConstructorParameters<typeof WebAssembly.Instance>[1] {
	return {
		env: {
			memory,
			opa_abort: (address: number) => {
				throw new Error(text(address));
			},
			opa_println: () => undefined,
			opa_builtin0: (id: number) => call(id),
			opa_builtin1: (id: number, _: number, a: number) => call(id, a),
			opa_builtin2: (id: number, _: number, a: number, b: number) => call(id, a, b),
			opa_builtin3: (id: number, _: number, a: number, b: number, c: number) => call(id, a, b, c),
			opa_builtin4: (id: number, _: number, a: number, b: number, c: number, d: number) => call(id, a, b, c, d),
		},
	};
}

/** What was thrown through WebAssembly; `opa-wasm` throws strings too. */
export function reason(error: unknown): string {
	if (error instanceof RangeError) return 'the stack of the policy is exhausted';
	if (error instanceof WebAssembly.RuntimeError) return `WebAssembly trap: ${error.message} (memory exhausted?)`;
	// What OPA's allocator says when the memory cannot grow.
	if (error instanceof Error)
		return error.message === 'opa_malloc: failed' ? 'the memory of the policy is exhausted' : error.message;
	return String(error);
}
