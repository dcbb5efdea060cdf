/** What became of a body. */
export type Sent =
	/** Records that are in it. */
	| { readonly taken: number }
	/** It holds something that the sink never takes; `answer` says what it said, in our words. */
	| { readonly refused: string };

/** A sink that takes nothing now; `message` holds no secret and nothing that the server wrote. */
export class Untaken extends Error {
	/** Milliseconds until it is tried again, at least. */
	readonly pause: number | undefined;

	constructor(message: string, pause?: number) {
		super(message);
		this.pause = pause;
	}
}
