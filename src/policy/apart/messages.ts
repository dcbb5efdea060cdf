import type { ModuleFacts } from '../module.ts';
import type { Problem } from '../problem.ts';
import type { Ready } from '../ready.ts';

/** What the thread that loads a bundle says to the one that asked for it. */

/** Bytes that the asking thread copies at once: a fraction of a millisecond, and calls go on before the next. */
export const PART = 256 * 1024;
/** Parts that the loading thread lays out at once: it may be given the processor seldom. */
export const PARTS = 32;

export type Said =
	| { readonly kind: 'unchanged' }
	| { readonly kind: 'refused'; readonly problems: readonly Problem[] }
	| Prepared
	/** The window has the next part of the memory, up to its length. */
	| { readonly kind: 'filled' };

/** Everything but what stands in memory, which is asked for by `FILL`. */
export interface Prepared {
	readonly kind: 'prepared';
	readonly bundle: Omit<Ready['bundle'], 'archive'> & {
		/** Absent when the asking thread has it. */
		readonly archive?: Uint8Array;
	};
	readonly module: WebAssembly.Module;
	readonly facts: ModuleFacts;
	readonly window: SharedArrayBuffer;
}

/** The one thing that is said back: the window has been read. */
export const FILL = 'fill';
