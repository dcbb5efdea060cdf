import type { Value } from '../value.ts';
import type { PatternCache } from './pattern-cache.ts';

/** What a built-in may know beside its operands. Everything comes from the input: evaluations can be repeated. */
export interface BuiltinContext {
	/** Nanoseconds since the epoch: the input's `time`. Throws BuiltinFailure when the input has none. */
	now(): bigint;
	readonly patterns: PatternCache;
	/**
	 * Counts work of the host's by `policy.fuel`, beside the module's own steps; a step is some nanoseconds. What takes more
	 * than time linear in its operands is to be counted before it is done. Throws when nothing is left.
	 */
	spend(steps: number): void;
}

/**
 * A pure function that WebAssembly lacks. BuiltinFailure or undefined makes the expression undefined, as an error
 * does in OPA. Any other exception ends the evaluation with `policy_error`: our own limits do, which OPA does not
 * have, so that no deny rule falls silent over them.
 */
export type Builtin = (args: readonly Value[], context: BuiltinContext) => Value | undefined;

/** One family, by the names that Rego knows. */
export type Family = Readonly<Record<string, Builtin>>;
