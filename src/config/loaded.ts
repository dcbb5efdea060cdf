import type { Config } from './schema.ts';

/** One thing wrong with the configuration, where it stands. */
export interface Problem {
	readonly line: number;
	readonly column: number;
	/** `listeners[0].address`; empty for the file as a whole. */
	readonly path: string;
	/** What is wrong and what was expected. */
	readonly message: string;
}

export type Loaded =
	| {
			readonly config: Config;
			readonly directory: string;
			readonly file: string;
			/** What is taken but may not be meant. */
			readonly warnings: readonly Problem[];
			/** What its looking into the files found; nothing where that was not asked for. */
			readonly missing: readonly Problem[];
	  }
	| { readonly problems: readonly Problem[]; readonly file: string };

/** `sallyport.yaml:12:3  listeners[0].address: expected …` */
export const problemText = (file: string, problem: Problem): string =>
	`${file}${problem.line > 0 ? `:${problem.line}:${problem.column}` : ''}  ${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`;

/** Freezes it, and all that it holds. */
export function freeze<T>(value: T): T {
	if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
		Object.freeze(value);
		for (const inner of Object.values(value)) freeze(inner);
	}
	return value;
}
