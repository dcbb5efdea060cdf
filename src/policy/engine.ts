import { createRequire } from 'node:module';
import type { LoadedPolicy } from '@open-policy-agent/opa-wasm';
import type { Builtin, BuiltinContext } from './builtins/contract.ts';
import { nanoseconds } from './builtins/instant.ts';
import { PatternCache } from './builtins/pattern-cache.ts';
import { FUEL } from './meter/meter.ts';
import { BuiltinFailure, parseTerm, printTerm, type Value } from './value.ts';

/**
 * One compiled module of OPA in WebAssembly, ABI 1.2 or later. `opa-wasm` prepares the instance and loads data; an
 * evaluation itself writes the input's text into memory and calls `opa_eval`, without a value of JavaScript between.
 */

/** Its CommonJS form: the other one does not export the class. */
const opa = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as {
	readonly LoadedPolicy: typeof LoadedPolicy;
};

const PAGE = 65_536;
/** Enough for a module without data; the rest grows. */
const FIRST_PAGES = 8;
/** Characters of operands and results that the host reads or writes in the time of one step. */
const CHARACTERS = 8;
/** Inputs are refused beyond this part of what memory the data leaves: parsed, they take many times their size. */
const INPUT_SHARE = 4;

type Exports = {
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

export interface EngineOptions {
	/** Greatest memory in bytes. */
	readonly memory: number;
	/** What is supplied of the built-ins that WebAssembly lacks. */
	readonly builtins: ReadonlyMap<string, Builtin>;
	/** Steps that one evaluation may take, if the module is a metered one; 0: as many as it likes. */
	readonly fuel?: number;
}

/** Why a module is refused at load. */
export class ModuleRefused extends Error {
	/** Names of built-ins that are neither in WebAssembly nor supplied. */
	readonly missing: readonly string[];

	constructor(message: string, missing: readonly string[] = []) {
		super(message);
		this.missing = missing;
	}
}

/** Text of the result, or what went wrong. */
export type Evaluated = { readonly raw: string } | { readonly error: string; readonly exhausted?: true };

export class Engine {
	readonly #module: WebAssembly.Module;
	readonly #pages: number;
	readonly #fuel: number;
	readonly #table: readonly (Builtin | undefined)[];
	readonly #context: BuiltinContext;
	readonly #data: number;
	readonly #heap: number;
	/** What lies below the data: code's own variables and stack. Written back when an instance is made anew. */
	readonly #statics: Buffer;
	readonly #cleanBytes: number;
	#memory: WebAssembly.Memory;
	#bytes: Buffer;
	#exports: Exports;
	#input = '';
	/** Names of entry points and their numbers. */
	readonly entrypoints: ReadonlyMap<string, number>;
	/** Built-ins of the host that the module calls. */
	readonly builtins: readonly string[];

	/** Throws ModuleRefused. `data` is the text of the bundle's data document. */
	constructor(module: WebAssembly.Module, data: Uint8Array, options: EngineOptions) {
		this.#module = module;
		this.#fuel = options.fuel ?? 0;
		this.#pages = Math.max(FIRST_PAGES, Math.floor(options.memory / PAGE));
		this.#memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: this.#pages });
		this.#bytes = Buffer.from(this.#memory.buffer);
		const spend = (steps: number): void => this.#spend(steps);
		this.#context = { now: () => nowOf(this.#input), patterns: new PatternCache(spend), spend };
		this.#table = [];
		try {
			const instance = this.#instantiate();
			this.#exports = instance.exports as unknown as Exports;
			if (this.#fuel > 0 && this.#exports[FUEL] === undefined) throw new ModuleRefused('the module is not metered');
			const major: unknown = this.#exports.opa_wasm_abi_version?.value;
			const minor: unknown = this.#exports.opa_wasm_abi_minor_version?.value;
			if (major !== 1 || typeof minor !== 'number' || minor < 2)
				throw new ModuleRefused('the module is not of OPA ABI 1.2 or later');
			const loaded = new opa.LoadedPolicy({ module, instance }, this.#memory, minor);
			const names = this.#json(this.#exports.builtins());
			this.builtins = Object.freeze(Object.keys(names).sort());
			const missing = this.builtins.filter(name => !options.builtins.has(name));
			if (missing.length > 0) {
				throw new ModuleRefused(`built-in functions that cannot be evaluated here: ${missing.join(', ')}`, missing);
			}
			const table: (Builtin | undefined)[] = [];
			for (const [name, id] of Object.entries(names)) table[id] = options.builtins.get(name);
			this.#table = table;
			this.entrypoints = new Map(Object.entries(loaded.entrypoints as Record<string, number>));
			const base: number = loaded.baseHeapPtr;
			loaded.setData(new Uint8Array(data).buffer);
			this.#data = loaded.dataAddr;
			this.#heap = (loaded.dataHeapPtr + 15) & ~15;
			this.#view();
			this.#statics = Buffer.from(this.#bytes.subarray(0, base));
			this.#cleanBytes = this.#bytes.length;
		} catch (error) {
			if (error instanceof ModuleRefused) throw error;
			throw new ModuleRefused(`the module cannot be loaded within ${options.memory} bytes of memory: ${reason(error)}`);
		}
	}

	/** Bytes of memory in use. */
	get memory(): number {
		return this.#memory.buffer.byteLength;
	}

	/**
	 * Synchronous; throws nothing. `input` is JSON that a strict scanner has accepted, or that Sallyport wrote: OPA's own
	 * reader stops at the end of the first value.
	 */
	evaluate(entrypoint: number, input: string): Evaluated {
		const length = this.#write(input);
		if (length < 0) return { error: 'the input is too large for the memory of the policy' };
		this.#input = input;
		const counter = this.#fuel > 0 ? this.#exports[FUEL] : undefined;
		if (counter !== undefined) counter.value = this.#fuel;
		try {
			const heap = (this.#heap + length + 15) & ~15;
			const address = this.#exports.opa_eval(0, entrypoint, this.#data, this.#heap, length, heap, 0);
			return { raw: this.#text(address) };
		} catch (error) {
			const exhausted = counter !== undefined && Number(counter.value) < 0;
			this.#renew();
			if (exhausted) return { error: `it took more than the ${this.#fuel} steps of policy.fuel`, exhausted };
			return { error: reason(error) };
		} finally {
			this.#input = '';
		}
	}

	/** Bytes written, or -1 when the input has no room. */
	#write(input: string): number {
		// A UTF-16 unit takes at most three bytes, so most inputs need not be measured.
		if (this.#heap + input.length * 3 > this.#bytes.length && !this.#makeRoom(Buffer.byteLength(input))) return -1;
		return this.#bytes.write(input, this.#heap, 'utf8');
	}

	#makeRoom(length: number): boolean {
		this.#view();
		if (length * INPUT_SHARE > this.#pages * PAGE - this.#heap) return false;
		const lacking = this.#heap + length - this.#bytes.length;
		if (lacking > 0) {
			this.#memory.grow(Math.ceil(lacking / PAGE));
			this.#view();
		}
		return true;
	}

	/** Memory that has grown lies in a new buffer. */
	#view(): void {
		if (this.#bytes.buffer !== this.#memory.buffer) this.#bytes = Buffer.from(this.#memory.buffer);
	}

	#text(address: number): string {
		this.#view();
		return this.#bytes.toString('utf8', address, this.#bytes.indexOf(0, address));
	}

	#json(address: number): Record<string, number> {
		return JSON.parse(this.#text(this.#exports.opa_json_dump(address))) as Record<string, number>;
	}

	#instantiate(): WebAssembly.Instance {
		const call = (id: number, ...operands: readonly number[]): number => this.#call(id, operands);
		return new WebAssembly.Instance(this.#module, {
			env: {
				memory: this.#memory,
				opa_abort: (address: number) => {
					throw new Error(this.#text(address));
				},
				opa_println: () => undefined,
				opa_builtin0: (id: number) => call(id),
				opa_builtin1: (id: number, _: number, a: number) => call(id, a),
				opa_builtin2: (id: number, _: number, a: number, b: number) => call(id, a, b),
				opa_builtin3: (id: number, _: number, a: number, b: number, c: number) => call(id, a, b, c),
				opa_builtin4: (id: number, _: number, a: number, b: number, c: number, d: number) => call(id, a, b, c, d),
			},
		});
	}

	/** Takes steps from what is left to the module. The counter is an integer: parts of steps are whole ones. */
	#spend(steps: number): void {
		const counter = this.#fuel > 0 ? this.#exports[FUEL] : undefined;
		if (counter === undefined) return;
		const left = Number(counter.value) - Math.ceil(steps);
		counter.value = Math.max(left, -1);
		if (left < 0) throw new Error('policy.fuel is used up');
	}

	#operand(address: number): Value {
		const text = this.#text(this.#exports.opa_value_dump(address));
		this.#spend(text.length / CHARACTERS);
		return parseTerm(text);
	}

	/** One call of a built-in; address 0 is undefined. */
	#call(id: number, operands: readonly number[]): number {
		const builtin = this.#table[id];
		if (builtin === undefined) throw new Error(`built-in function ${id} is not there`);
		let result: Value | undefined;
		try {
			result = builtin(
				operands.map(operand => this.#operand(operand)),
				this.#context,
			);
			if (result === undefined) return 0;
			let room = this.#pages * PAGE;
			const text = printTerm(result, characters => {
				this.#spend(characters / CHARACTERS);
				room -= characters;
				if (room < 0) throw new Error('a built-in function gave more than the memory of the policy holds');
			});
			const bytes = Buffer.byteLength(text);
			const address = this.#exports.opa_malloc(bytes);
			this.#view();
			this.#bytes.write(text, address, 'utf8');
			const value = this.#exports.opa_value_parse(address, bytes);
			this.#exports.opa_free(address);
			if (value === 0) throw new Error('a built-in function gave no value');
			return value;
		} catch (error) {
			if (error instanceof BuiltinFailure) return 0;
			throw error;
		}
	}

	/**
	 * After a failure the instance is not trusted: its stack pointer stands where it was left. A new one is made over
	 * the same data, in new memory if the old had grown, so that a failure costs no second parse of the data.
	 */
	#renew(): void {
		if (this.#memory.buffer.byteLength !== this.#cleanBytes) {
			const old = Buffer.from(this.#memory.buffer);
			this.#memory = new WebAssembly.Memory({ initial: this.#cleanBytes / PAGE, maximum: this.#pages });
			this.#view();
			old.copy(this.#bytes, 0, 0, this.#heap);
		}
		this.#exports = this.#instantiate().exports as unknown as Exports;
		this.#statics.copy(this.#bytes, 0);
		this.#exports.opa_heap_ptr_set(this.#heap);
	}
}

/** What was thrown through WebAssembly; `opa-wasm` throws strings too. */
function reason(error: unknown): string {
	if (error instanceof RangeError) return 'the stack of the policy is exhausted';
	if (error instanceof WebAssembly.RuntimeError) return `WebAssembly trap: ${error.message} (memory exhausted?)`;
	// What OPA's allocator says when the memory cannot grow.
	if (error instanceof Error)
		return error.message === 'opa_malloc: failed' ? 'the memory of the policy is exhausted' : error.message;
	return String(error);
}

const OWN_TIME = /^\{"time":"([^"\\]{20,40})"/;

/** The input's time in nanoseconds. Inputs that Sallyport builds begin with it; others are parsed. */
function nowOf(input: string): bigint {
	let time: unknown = OWN_TIME.exec(input)?.[1];
	if (time === undefined) {
		const value: unknown = JSON.parse(input);
		time = typeof value === 'object' && value !== null && 'time' in value ? value.time : undefined;
	}
	if (typeof time !== 'string') throw new BuiltinFailure('the input has no time');
	return nanoseconds(time);
}
