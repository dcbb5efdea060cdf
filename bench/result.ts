import type { Activation } from './activation.ts';
import type { Memory } from './memory.ts';
import type { Measured } from './rounds.ts';
import type { StartUp } from './start-up.ts';

/** Everything that one run of the bench leaves behind; it is what bench/results/*.json holds. */
export interface Result {
	/** RFC 3339, UTC. */
	readonly date: string;
	readonly commit: string;
	/** Whether the tree held changes that the commit does not. */
	readonly changed: boolean;
	readonly machine: Readonly<Record<string, string | number>>;
	readonly method: Readonly<Record<string, string | number | readonly number[]>>;
	readonly candidates: readonly { readonly name: string; readonly what: string; readonly version: string }[];
	/** Sentences about what could not be measured. */
	readonly missing: readonly string[];
	readonly peers: readonly Measured[];
	readonly grants: readonly Measured[];
	readonly handshakes: readonly Measured[];
	readonly startUp?: StartUp;
	readonly memory?: Memory;
	readonly activation: readonly Activation[];
}
