import { constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import { startLow } from '../../kernel/thread-priority.ts';
import { type PolicyError, problem } from '../problem.ts';
import type { Job } from '../ready.ts';
import type { Said } from './messages.ts';

/** As deep as the thread that evaluates may go: what can be read here can be read there (Node's default is 4). */
const STACK_MB = 1;

/** One thread that loads one bundle. Whatever becomes of it is one answer, or a reason why there is none. */
export class Thread {
	readonly #worker: Worker;
	#answer = Promise.withResolvers<Said>();
	/** Why it says nothing more. */
	#over: PolicyError | undefined;

	/** `origin` is for the error's text. */
	constructor(job: Job, origin: string) {
		this.#answer.promise.catch(() => undefined);
		const file = `./bundle-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`;
		const options = { workerData: job, execArgv: [], resourceLimits: { stackSizeMb: STACK_MB } };
		// Its own start takes a tenth of a second already; how low the rest is, it says itself.
		this.#worker = startLow(
			constants.priority.PRIORITY_BELOW_NORMAL,
			() => new Worker(new URL(file, import.meta.url), options),
		);
		this.#worker.on('message', (said: Said) => this.#answer.resolve(said));
		this.#worker.on('error', (error: Error) =>
			this.#end(
				problem(
					'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
						? 'there is not enough memory to load it'
						: `it could not be loaded: ${error.message}`,
					origin,
				),
			),
		);
		this.#worker.on('exit', () => this.#end(problem('it could not be loaded: the thread ended', origin)));
	}

	/** What it said, or says next. Rejects with PolicyError when it says nothing more. */
	async next(): Promise<Said> {
		return await this.#answer.promise;
	}

	/** What it says from here on is the answer. It may have ended while its last answer was read. */
	ask(what: string): void {
		this.#answer = Promise.withResolvers<Said>();
		this.#answer.promise.catch(() => undefined);
		if (this.#over === undefined) this.#worker.postMessage(what);
		else this.#answer.reject(this.#over);
	}

	/** Nothing is waited for any more. */
	end(reason: PolicyError): void {
		this.#end(reason);
		void this.#worker.terminate();
	}

	#end(reason: PolicyError): void {
		this.#over ??= reason;
		this.#answer.reject(this.#over);
	}
}
