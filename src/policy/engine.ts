import type { Builtin, BuiltinContext } from './builtins/contract.ts';
import { nanoseconds } from './builtins/instant.ts';
import { PatternCache } from './builtins/pattern-cache.ts';
import { FUEL } from './meter/meter.ts';
import { type Exports, importsOf, MOST_STEPS, PAGE, type Prepared, pagesOf, prepareModule, reason } from './module.ts';
import { BuiltinFailure, parseTerm, printTerm, type Value } from './value.ts';

/**
 * Evaluates one module of OPA whose data is in memory: writes the input's text behind it and calls `opa_eval`, without a
 * value of JavaScript between.
 */

/** What one call of a built-in costs in steps, beside those of handing values over: some microseconds. */
const BUILTIN_STEPS = 200;
/** Characters of operands and results that the host reads or writes in the time of one step. */
const CHARACTERS = 8;
/** Bytes of what a module says when it gives up: it stands in records. */
const LONGEST_ERROR = 1024;
/** What each byte of an input adds to the fuel: reading it takes one step to eight. */
const INPUT_STEPS = 10;
/** Inputs are refused beyond this part of what memory the data leaves: parsed, they take many times their size. */
const INPUT_SHARE = 4;

export interface EngineOptions {
	/** Greatest memory in bytes. */
	readonly memory: number;
	/** What is supplied of the built-ins that WebAssembly lacks. */
	readonly builtins: ReadonlyMap<string, Builtin>;
	/** Steps that one evaluation may take, if the module is a metered one; 0: as many as it likes. */
	readonly fuel?: number;
}

/** Throws ModuleRefused. `data` is the text of the bundle's data document. */
export const openEngine = (module: WebAssembly.Module, data: Uint8Array, options: EngineOptions): Engine =>
	new Engine(prepareModule(module, data, options), options);

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
	/** Undefined when no instance could be made after a failure. */
	#exports: Exports | undefined;
	#input = '';
	/** Names of entry points and their numbers. */
	readonly entrypoints: ReadonlyMap<string, number>;
	/** Built-ins of the host that the module calls. */
	readonly builtins: readonly string[];

	/** The memory is the engine's from here on. */
	constructor(prepared: Prepared, options: EngineOptions) {
		const { module, memory, data, heap, base, builtins, entrypoints } = prepared;
		this.#module = module;
		this.#fuel = options.fuel ?? 0;
		this.#pages = pagesOf(options.memory);
		this.#memory = memory;
		this.#bytes = Buffer.from(memory.buffer);
		this.#cleanBytes = this.#bytes.length;
		const spend = (steps: number): void => this.#spend(steps);
		this.#context = { now: () => nowOf(this.#input), patterns: new PatternCache(spend), spend };
		this.builtins = Object.freeze(Object.keys(builtins).sort());
		const table: (Builtin | undefined)[] = [];
		for (const [name, id] of Object.entries(builtins)) table[id] = options.builtins.get(name);
		this.#table = table;
		this.entrypoints = new Map(Object.entries(entrypoints));
		this.#data = data;
		this.#heap = heap;
		this.#statics = Buffer.from(this.#bytes.subarray(0, base));
		this.#exports = this.#restart();
	}

	/** Bytes of memory in use. */
	get memory(): number {
		const { byteLength } = this.#memory.buffer;
		return byteLength === this.#cleanBytes ? Math.ceil(this.#heap / PAGE) * PAGE : byteLength;
	}

	/**
	 * Synchronous; throws nothing. `input` is JSON that a strict scanner has accepted, or that Sallyport wrote: OPA's own
	 * reader stops at the end of the first value.
	 */
	evaluate(entrypoint: number, input: string): Evaluated {
		const length = this.#write(input);
		if (length < 0) return { error: 'the input is too large for the memory of the policy' };
		if (this.#exports === undefined) this.#renew();
		const exports = this.#exports;
		if (exports === undefined) return { error: 'the policy could not be started again after it failed' };
		this.#input = input;
		const counter = this.#fuel > 0 ? exports[FUEL] : undefined;
		if (counter !== undefined) counter.value = Math.min(this.#fuel + length * INPUT_STEPS, MOST_STEPS);
		try {
			const heap = (this.#heap + length + 15) & ~15;
			const address = exports.opa_eval(0, entrypoint, this.#data, this.#heap, length, heap, 0);
			return { raw: this.#paidText(address) };
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

	/** Cut where nobody would read on. */
	#text(address: number): string {
		this.#view();
		return this.#bytes.toString('utf8', address, Math.min(this.#end(address), address + LONGEST_ERROR));
	}

	/** Reading it, and what it says, takes from the fuel as what a built-in is handed does. */
	#paidText(address: number): string {
		this.#view();
		const end = this.#end(address);
		this.#spend((end - address) / CHARACTERS);
		return this.#bytes.toString('utf8', address, end);
	}

	#end(address: number): number {
		const end = this.#bytes.indexOf(0, address);
		return end < 0 ? Math.max(address, this.#bytes.length) : end;
	}

	/** Takes steps from what is left to the module. The counter is an integer: parts of steps are whole ones. */
	#spend(steps: number): void {
		const counter = this.#fuel > 0 ? this.#exports?.[FUEL] : undefined;
		if (counter === undefined) return;
		const left = Number(counter.value) - Math.ceil(steps);
		counter.value = Math.max(left, -1);
		if (left < 0) throw new Error('policy.fuel is used up');
	}

	#operand(exports: Exports, address: number): Value {
		return parseTerm(this.#paidText(exports.opa_value_dump(address)));
	}

	/** One call of a built-in; address 0 is undefined. */
	#call(id: number, operands: readonly number[]): number {
		const builtin = this.#table[id];
		const exports = this.#exports;
		if (builtin === undefined || exports === undefined) throw new Error(`built-in function ${id} is not there`);
		this.#spend(BUILTIN_STEPS);
		let result: Value | undefined;
		try {
			result = builtin(
				operands.map(operand => this.#operand(exports, operand)),
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
			const address = exports.opa_malloc(bytes);
			this.#view();
			this.#bytes.write(text, address, 'utf8');
			const value = exports.opa_value_parse(address, bytes);
			exports.opa_free(address);
			if (value === 0) throw new Error('a built-in function gave no value');
			return value;
		} catch (error) {
			if (error instanceof BuiltinFailure) return 0;
			throw error;
		}
	}

	/**
	 * After a failure the instance is not trusted: its stack pointer stands where it was left. A new one is made over
	 * the same data, in new memory if the old had grown, so that a failure costs no second parse of the data. Throws
	 * nothing: what runs when an instance is made is the module's, and may fail too.
	 */
	#renew(): void {
		this.#exports = undefined;
		try {
			this.#exports = this.#restarted();
		} catch {
			// Nothing is decided until there is one.
		}
	}

	#restarted(): Exports {
		if (this.#memory.buffer.byteLength !== this.#cleanBytes) {
			const old = Buffer.from(this.#memory.buffer);
			this.#memory = new WebAssembly.Memory({ initial: this.#cleanBytes / PAGE, maximum: this.#pages });
			this.#view();
			old.copy(this.#bytes, 0, 0, this.#heap);
		}
		return this.#restart();
	}

	/** A new instance over the data: making one writes its variables anew, so they are put back. */
	#restart(): Exports {
		const call = (id: number, ...operands: readonly number[]): number => this.#call(id, operands);
		const imports = importsOf(this.#memory, address => this.#text(address), call);
		const exports = new WebAssembly.Instance(this.#module, imports).exports as unknown as Exports;
		this.#statics.copy(this.#bytes, 0);
		exports.opa_heap_ptr_set(this.#heap);
		return exports;
	}
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
