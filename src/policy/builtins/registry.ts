import type { Builtin, Family } from './contract.ts';
import { TIME } from './time.ts';

const FAMILIES: readonly Family[] = [TIME];

/** Every built-in that Sallyport supplies, by name. What is not here, and not in WebAssembly, refuses the bundle. */
export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(FAMILIES.flatMap(family => Object.entries(family)));
