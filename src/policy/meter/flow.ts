import { type Walk, walk } from './instructions.ts';
import { type Reader, tooLarge, Unmetered } from './reader.ts';
import { valueType } from './sections.ts';

/**
 * Finds the places where a function must lower the counter: at the head of each loop's body, and wherever else it could have
 * come without having lowered it for so many instructions. What is not lowered on one way is not forgotten where ways meet.
 */

/** Instructions that one step pays for. */
export const A_STEP = 256;

/** Places where the counter is lowered or read again, in one module: a thousand rules have some ten thousand. */
export const MOST_PLACES = 1_000_000;
/** Of one function: engines of JavaScript take no more (WebAssembly JavaScript Interface 2.0, "Implementation-defined Limits"). */
const MOST_LOCALS = 50_000;
const DEEPEST = 10_000;

/** One function. Places are offsets in the bytes of its reader. */
export interface Func {
	/** Where its groups of locals begin, behind their number. */
	readonly groupsAt: number;
	readonly groups: number;
	/** Locals, parameters included. */
	readonly locals: number;
	/** Where its instructions begin, and where they end, the last `end` included. */
	readonly begin: number;
	readonly end: number;
	/** Where it lowers the counter, in their order. */
	readonly steps: readonly number[];
	readonly loops: boolean;
	/** Places where ways part or meet, once for each local: compiling takes as long. */
	readonly merges: number;
	/** Behind calls of what lowers the counter, in their order. */
	readonly returns: readonly number[];
	readonly cost: Cost;
}

/** What a call of a function comes to. */
export interface Cost {
	/** Instructions that are not paid for when it returns, at most. */
	readonly unpaid: number;
	/** The counter may be another one when it has returned. */
	readonly changes: boolean;
}

/** Of a function that is not known yet, maybe the same one: so every circle of calls is paid for. */
const UNKNOWN: Cost = { unpaid: A_STEP, changes: true };

/** `ways`: the most that is unpaid on the ways that lead behind it, -1 when none does; `entered`: of a condition, at its head. */
interface Frame {
	readonly kind: 'block' | 'loop' | 'if' | 'else';
	readonly entered: number;
	readonly ways: number;
}

const NOWHERE = -1;

/** Reads one function; throws Unmetered on what is not known. `costOf` says what is known of others by their index. */
export function functionOf(
	code: Reader,
	parameters: number,
	globals: number,
	costOf: (index: number) => Cost | undefined,
): Func {
	const groups = code.u32();
	const groupsAt = code.at;
	let locals = parameters;
	for (let left = groups; left > 0; left--) {
		locals += code.u32();
		valueType(code);
	}
	if (locals > MOST_LOCALS) throw tooLarge();
	const begin = code.at;
	const flow = new Flow(globals, costOf);
	flow.locals(begin, locals);
	walk(code, flow);
	const { steps, returns, loops, unpaid } = flow;
	const merges = locals * (flow.turns + steps.length);
	const changes = steps.length > 0 || returns.length > 0;
	return { groupsAt, groups, locals, begin, end: code.end, steps, returns, loops, merges, cost: { unpaid, changes } };
}

class Flow implements Walk {
	readonly globals: number;
	readonly #costOf: (index: number) => Cost | undefined;
	readonly steps: number[] = [];
	readonly returns: number[] = [];
	loops = false;
	/** Blocks, and branches to them. */
	turns = 0;
	readonly #frames: Frame[] = [{ kind: 'block', entered: 0, ways: NOWHERE }];
	/** What is not paid for here; NOWHERE: nobody comes here. */
	#here = 0;
	/** The same of where it returns. */
	unpaid = 0;

	constructor(globals: number, costOf: (index: number) => Cost | undefined) {
		this.globals = globals;
		this.#costOf = costOf;
	}

	/** Each call hands over parameters and writes zeros into the rest, whether or not any is used. */
	locals(at: number, count: number): void {
		for (let left = count; left > 0; left -= A_STEP) this.plain(at, Math.min(left, A_STEP));
	}

	plain(at: number, cost: number): void {
		if (this.#here === NOWHERE) return;
		if (this.#here + cost > A_STEP) this.#step(at);
		this.#here += cost;
	}

	grow(at: number): void {
		this.plain(at, A_STEP);
	}

	enter(at: number, after: number, kind: 'block' | 'loop' | 'if'): void {
		this.plain(at, 1);
		this.turns++;
		if (this.#frames.length === DEEPEST) throw tooLarge();
		this.#frames.push({ kind, entered: this.#here, ways: NOWHERE });
		if (kind !== 'loop') return;
		this.loops = true;
		this.#step(after);
	}

	otherwise(): void {
		const frame = this.#frames.pop();
		if (frame?.kind !== 'if') throw new Unmetered('the module has an else without its condition');
		this.#frames.push({ ...frame, kind: 'else', ways: Math.max(frame.ways, this.#here) });
		this.#here = frame.entered;
	}

	end(): void {
		const frame = this.#frames.pop();
		if (frame === undefined) throw new Unmetered('the module has a function that ends too soon');
		this.#here = Math.max(this.#here, frame.ways, frame.kind === 'if' ? frame.entered : NOWHERE);
		if (this.#frames.length === 0) this.unpaid = Math.max(this.unpaid, this.#here);
	}

	branch(at: number, depth: number): void {
		this.plain(at, 1);
		this.turns++;
		const index = this.#frames.length - 1 - depth;
		const frame = this.#frames[index];
		if (frame === undefined) throw new Unmetered('the module has a branch that leads nowhere');
		if (frame.kind === 'loop' || this.#here <= frame.ways) return;
		this.#frames[index] = { ...frame, ways: this.#here };
	}

	stop(): void {
		this.#here = NOWHERE;
	}

	return(at: number): void {
		this.plain(at, 1);
		this.unpaid = Math.max(this.unpaid, this.#here);
		this.stop();
	}

	call(at: number, after: number, index: number | undefined): void {
		const { unpaid, changes } = (index === undefined ? undefined : this.#costOf(index)) ?? UNKNOWN;
		this.plain(at, Math.min(A_STEP, unpaid + 2));
		if (!changes) return;
		if (this.returns.length === MOST_PLACES) throw tooLarge();
		this.returns.push(after);
	}

	#step(at: number): void {
		if (this.steps.length === MOST_PLACES) throw tooLarge();
		this.steps.push(at);
		if (this.#here !== NOWHERE) this.#here = 0;
	}
}
