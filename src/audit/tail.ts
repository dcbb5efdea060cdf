import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chainsOf } from './chains.ts';
import { lineHead, readLinesIfThere } from './reader.ts';
import { listSegments, type Segment } from './segment.ts';

/** How often a chain that is followed is looked at. */
const POLL_MS = 200;
const CHUNK = 256 * 1024;

export interface TailOptions {
	/** Records to begin with, counted from the end. */
	readonly last: number;
	/** Whether to go on with what is written from now on. */
	readonly follow: boolean;
	/** Ends the following. */
	readonly signal?: AbortSignal;
}

/**
 * The last records of a chain, line by line, and those to come; from one segment to the next. Where the directory holds
 * the chains of several Sallyports: of all together, by time, as far as they were written when it was looked at.
 */
export async function tailDirectory(
	directory: string,
	options: TailOptions,
	onLines: (lines: readonly Buffer[], several: boolean) => Promise<void>,
): Promise<void> {
	const stopped = (): boolean => options.signal?.aborted === true;
	const chains = new Map<string, Chain>();
	for (let first = true; ; first = false) {
		const found = await chainsOf(directory);
		for (const path of found) {
			if (!chains.has(path)) chains.set(path, new Chain(path, first ? await startOf(path, options.last) : START));
		}
		const several = found.length > 1 || (found[0] ?? directory) !== directory;
		if (!several || !first) {
			for (const chain of chains.values()) await chain.read(stopped, lines => onLines(lines, several));
		} else {
			let last: Buffer[] = [];
			for (const chain of chains.values()) {
				await chain.read(stopped, async lines => {
					last = [...last, ...lines].sort(byTime).slice(-Math.max(1, options.last));
				});
			}
			if (options.last > 0 && last.length > 0) await onLines(last, several);
		}
		if (!options.follow || stopped()) return;
		try {
			await sleep(POLL_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
		} catch {
			return;
		}
	}
}

const timeOf = (line: Buffer): string => lineHead(line)?.timestamp ?? '';
const byTime = (a: Buffer, b: Buffer): number => (timeOf(a) < timeOf(b) ? -1 : timeOf(a) > timeOf(b) ? 1 : 0);

interface Place {
	readonly segment: number;
	readonly offset: number;
}

const START: Place = { segment: 0, offset: 0 };

/** One chain, and how far it was read. */
class Chain {
	readonly #directory: string;
	#at: Place;

	constructor(directory: string, at: Place) {
		this.#directory = directory;
		this.#at = at;
	}

	/** What was written since the last time. */
	async read(stopped: () => boolean, onLines: (lines: readonly Buffer[]) => Promise<void>): Promise<void> {
		for (const segment of await segmentsIfThere(this.#directory)) {
			if (segment.first < this.#at.segment) continue;
			this.#at = { segment: segment.first, offset: segment.first === this.#at.segment ? this.#at.offset : 0 };
			// A part at a time, so that a slow reader does not make everything wait in memory.
			while (this.#at.offset < segment.bytes && !stopped()) {
				const lines: Buffer[] = [];
				let bytes = 0;
				const range = { from: this.#at.offset, to: segment.bytes };
				const end = await readLinesIfThere(
					join(this.#directory, segment.name),
					line => {
						lines.push(Buffer.from(line));
						bytes += line.length;
						return bytes < CHUNK ? undefined : false;
					},
					range,
				);
				if (lines.length === 0) break;
				this.#at = { segment: segment.first, offset: end.offset };
				await onLines(lines);
			}
		}
	}
}

/** A Sallyport that goes may take its folder with it. */
async function segmentsIfThere(directory: string): Promise<readonly Segment[]> {
	try {
		return await listSegments(directory);
	} catch (error) {
		if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
		return [];
	}
}

/** Where the last `count` lines begin. */
async function startOf(directory: string, count: number): Promise<Place> {
	const segments = await listSegments(directory);
	let left = count;
	for (const segment of segments.toReversed()) {
		const found = await backwards(join(directory, segment.name), segment.bytes, left);
		left = found.left;
		if (left === 0) return { segment: segment.first, offset: found.offset };
	}
	return START;
}

/** Goes back over line ends: `left` is how many lines the file lacks, `offset` where the last `count` of it begin. */
async function backwards(path: string, size: number, count: number): Promise<{ left: number; offset: number }> {
	const file = await open(path, 'r');
	try {
		let left = count;
		const chunk = Buffer.allocUnsafe(CHUNK);
		for (let end = size; end > 0; ) {
			const length = Math.min(CHUNK, end);
			await file.read(chunk, 0, length, end - length);
			for (let i = length - 1; i >= 0; i--) {
				if (chunk[i] !== 10) continue;
				// The line feed before the first wanted line; the one that ends the file begins none.
				if (left === 0) return { left: 0, offset: end - length + i + 1 };
				left--;
			}
			end -= length;
		}
		return { left, offset: 0 };
	} finally {
		await file.close();
	}
}
