import type { Value } from '../value.ts';

/** What a built-in may know beside its operands. Everything comes from the input: evaluations can be repeated. */
export interface BuiltinContext {
	/** Nanoseconds since the epoch: the input's `time`. Throws BuiltinFailure when the input has none. */
	now(): bigint;
}

/**
 * A pure function that WebAssembly lacks. BuiltinFailure or undefined makes the expression undefined, as in OPA;
 * any other exception ends the evaluation with `policy_error`.
 */
export type Builtin = (args: readonly Value[], context: BuiltinContext) => Value | undefined;

/** One family, by the names that Rego knows. */
export type Family = Readonly<Record<string, Builtin>>;
