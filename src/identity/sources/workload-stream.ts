import { Backoff } from './backoff.ts';
import { type CallEnd, CODE, type WorkloadClient } from './workload-client.ts';

export interface WorkloadStreamEvents {
	message(bytes: Buffer): void;
	/** The stream is not open now: why. It is tried again, unless `forever`. */
	down(end: CallEnd, forever: boolean): void;
}

/** Pauses between tries, milliseconds. A pod that starts before its entry is known waits this long and not longer. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
/** A stream that was open for this long was a good one. */
const SETTLED = 1_000;
/** For the first message, which comes without delay (SPIFFE_Workload_API.md §4.3). */
const FIRST_MESSAGE = 30_000;

/**
 * One streaming call that is kept open (SPIFFE_Workload_API.md §4.2, SPIFFE_Workload_Endpoint.md §6): after a stream that
 * was open it is opened again at once, after any failure with growing pauses, and never again after InvalidArgument and
 * Unimplemented, which no repetition mends.
 */
export class WorkloadStream {
	readonly #client: WorkloadClient;
	readonly #method: string;
	readonly #events: WorkloadStreamEvents;
	readonly #backoff = new Backoff(FIRST_PAUSE, LONGEST_PAUSE);
	#cancel: (() => void) | undefined;
	#timer: NodeJS.Timeout | undefined;
	#closed = false;
	/** Whether the next failure of an open stream may be followed by a try at once. */
	#fresh = true;

	constructor(client: WorkloadClient, method: string, events: WorkloadStreamEvents) {
		this.#client = client;
		this.#method = method;
		this.#events = events;
	}

	open(): void {
		if (this.#closed || this.#cancel !== undefined) return;
		clearTimeout(this.#timer);
		const begun = performance.now();
		let messages = 0;
		const end = (reason: CallEnd): void => {
			clearTimeout(patience);
			this.#cancel = undefined;
			this.#over(reason, messages > 0, performance.now() - begun);
		};
		const patience = setTimeout(() => {
			cancel();
			end({ code: CODE.unavailable, details: `no answer within ${FIRST_MESSAGE / 1000} s` });
		}, FIRST_MESSAGE);
		patience.unref();
		const cancel = this.#client.stream(this.#method, {
			message: bytes => {
				clearTimeout(patience);
				messages++;
				this.#events.message(bytes);
			},
			end,
		});
		this.#cancel = () => {
			clearTimeout(patience);
			cancel();
		};
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
		this.#cancel?.();
		this.#cancel = undefined;
	}

	#over(end: CallEnd, delivered: boolean, lasted: number): void {
		if (this.#closed) return;
		const forever = end.code === CODE.invalidArgument || end.code === CODE.unimplemented;
		if (lasted >= SETTLED && delivered) {
			this.#fresh = true;
			this.#backoff.reset();
		}
		// One that breaks again and again, a moment after it was opened, is a failure like any other.
		const atOnce = delivered && this.#fresh && end.code !== CODE.permissionDenied;
		if (delivered) this.#fresh = false;
		if (!forever) {
			this.#timer = setTimeout(() => this.open(), atOnce ? 0 : this.#backoff.pause());
			this.#timer.unref();
		}
		this.#events.down(end, forever);
	}
}
