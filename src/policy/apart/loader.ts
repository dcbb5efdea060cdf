import { setImmediate as turn } from 'node:timers/promises';
import { PAGE, pagesOf } from '../module.ts';
import { PolicyError, problem } from '../problem.ts';
import type { Job, Ready } from '../ready.ts';
import { FILL, PART, type Prepared } from './messages.ts';
import { Thread } from './thread.ts';

/** Longest time for one bundle, milliseconds: the thread may get little of a busy processor. */
const PATIENCE = 180_000;

/**
 * Loads bundles in a thread of its own, one after the other: unpacking, verifying, compiling and reading data take a
 * second and more, in which no call would be answered. What came of it is taken over in small parts, and the thread ends.
 */
export class Loader {
	readonly #patience: number;
	readonly #stop = new AbortController();
	#turn: Promise<unknown> = Promise.resolve();

	constructor(patience: number = PATIENCE) {
		this.#patience = patience;
	}

	/** Undefined when it is what is in force. Rejects with PolicyError, also when the thread dies or takes too long. */
	load(job: Job): Promise<Ready | undefined> {
		const turn = this.#turn.then(() => loadApart(job, this.#patience, this.#stop.signal));
		this.#turn = turn.catch(() => {});
		return turn;
	}

	close(): void {
		this.#stop.abort();
	}
}

async function loadApart(job: Job, patience: number, stop: AbortSignal): Promise<Ready | undefined> {
	const origin = job.paths.join(', ');
	if (stop.aborted) throw problem('Sallyport is stopping', origin);
	const thread = new Thread(job, origin);
	const timer = setTimeout(
		() => thread.end(problem(`loading took longer than ${Math.ceil(patience / 1000)} s`, origin)),
		patience,
	);
	const stopping = (): void => thread.end(problem('Sallyport is stopping', origin));
	stop.addEventListener('abort', stopping);
	try {
		const said = await thread.next();
		if (said.kind === 'unchanged') return undefined;
		if (said.kind === 'refused') throw new PolicyError(said.problems);
		if (said.kind !== 'prepared') throw new Error('the thread that loads a bundle says something else');
		return await takeOver(job, said, thread);
	} finally {
		clearTimeout(timer);
		stop.removeEventListener('abort', stopping);
		thread.end(problem('it is over', origin));
	}
}

async function takeOver(job: Job, { bundle, module, facts, window }: Prepared, thread: Thread): Promise<Ready> {
	const memory = memoryFor(job, facts.bytes);
	const bytes = new Uint8Array(memory.buffer, 0, facts.heap);
	const filled = new Uint8Array(window);
	for (let at = 0; at < bytes.length; ) {
		thread.ask(FILL);
		await thread.next();
		const end = Math.min(bytes.length, at + filled.length);
		for (let from = 0; at < end; from += PART) {
			const part = filled.subarray(from, Math.min(from + PART, end - at + from));
			bytes.set(part, at);
			at += part.length;
			await turn();
		}
	}
	const archive = job.archive ?? bundle.archive ?? new Uint8Array();
	return {
		bundle: { ...bundle, archive: Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength) },
		prepared: { ...facts, module, memory },
	};
}

function memoryFor({ memory, paths }: Job, bytes: number): WebAssembly.Memory {
	try {
		return new WebAssembly.Memory({ initial: bytes / PAGE, maximum: pagesOf(memory) });
	} catch {
		throw problem(`there is no memory for the ${bytes} bytes that it needs`, paths.join(', '));
	}
}
