import { CODEC } from './codec.ts';
import type { Builtin, Family } from './contract.ts';
import { NET } from './net.ts';
import { NUMBERS } from './numbers.ts';
import { REGEX } from './regex.ts';
import { SCHEMA } from './schema.ts';
import { STRUCTURE } from './structure.ts';
import { TEXT } from './text.ts';
import { TIME } from './time.ts';

const FAMILIES: readonly Family[] = [CODEC, NET, NUMBERS, REGEX, SCHEMA, STRUCTURE, TEXT, TIME];

/** Every built-in that Sallyport supplies, by name. What is not here, and not in WebAssembly, refuses the bundle. */
export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(FAMILIES.flatMap(family => Object.entries(family)));
