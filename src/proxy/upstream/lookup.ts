import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

/** A name that is looked up, and on whose behalf. */
export interface Question {
	readonly host: string;
	readonly agent: string;
	/** Whether the configuration names it: then no agent chose it. */
	readonly declared: boolean;
	/** Whether anybody still waits for the answer. */
	wanted(): boolean;
}

/** All addresses of a name, as the system finds them. Rejects with an error that has a `code`. */
export type Resolve = (host: string) => Promise<LookupAddress[]>;

export const resolveBySystem: Resolve = host => lookup(host, { all: true, order: 'verbatim' });

/** Undeclared names that one agent may have under way at once. */
const MOST_PER_AGENT = 64;

interface Waiting {
	readonly question: Question;
	readonly resolve: (addresses: LookupAddress[]) => void;
	readonly reject: (error: Error) => void;
}

/**
 * Name look-ups in turn. getaddrinfo(3) keeps one of libuv's threads for as long as a name server is silent, and only
 * half of the threads are for such work: an agent that makes them wait would make everybody wait. So names that agents
 * choose never have all of them, an agent one at a time, and what the configuration names waits for nobody.
 */
export class Lookups {
	readonly #resolve: Resolve;
	/** Names of agents' choice that are looked up at once. */
	readonly #places: number;
	/** What waits, by agent; the agents in the order of their turns. */
	readonly #queues = new Map<string, Waiting[]>();
	/** Agents that have one running. */
	readonly #running = new Set<string>();

	/** `threads`: libuv's (UV_THREADPOOL_SIZE). */
	constructor(resolve: Resolve, threads: number) {
		this.#resolve = resolve;
		this.#places = Math.max(1, Math.floor((threads + 1) / 2) - 1);
	}

	/** Rejects with code `EBUSY` when the agent has too many under way, with `ECANCELED` when nobody wants it any more. */
	find(question: Question): Promise<LookupAddress[]> {
		if (question.declared) return this.#resolve(question.host);
		const queue = this.#queues.get(question.agent) ?? [];
		if (queue.length >= MOST_PER_AGENT) return Promise.reject(failure('EBUSY'));
		return new Promise((resolve, reject) => {
			queue.push({ question, resolve, reject });
			this.#queues.set(question.agent, queue);
			this.#next();
		});
	}

	#next(): void {
		for (const [agent, queue] of [...this.#queues]) {
			if (this.#running.size >= this.#places) return;
			if (this.#running.has(agent)) continue;
			// Whoever had a turn is behind the others.
			this.#queues.delete(agent);
			const waiting = wanted(queue);
			if (queue.length > 0) this.#queues.set(agent, queue);
			if (waiting !== undefined) this.#run(waiting);
		}
	}

	#run({ question: { agent, host }, resolve, reject }: Waiting): void {
		this.#running.add(agent);
		this.#resolve(host)
			.then(resolve, reject)
			.finally(() => {
				this.#running.delete(agent);
				this.#next();
			});
	}
}

/** The first of a queue that somebody waits for. */
function wanted(queue: Waiting[]): Waiting | undefined {
	for (;;) {
		const waiting = queue.shift();
		if (waiting === undefined || waiting.question.wanted()) return waiting;
		waiting.reject(failure('ECANCELED'));
	}
}

const failure = (code: string): Error => Object.assign(new Error(code), { code });
