import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readLinesIfThere } from './reader.ts';
import { listSegments } from './segment.ts';

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

/** The last records of a chain, line by line, and those to come; from one segment to the next. */
export async function tailDirectory(
	directory: string,
	options: TailOptions,
	onLines: (lines: readonly Buffer[]) => Promise<void>,
): Promise<void> {
	let at = await startOf(directory, options.last);
	const stopped = (): boolean => options.signal?.aborted === true;
	for (;;) {
		for (const segment of await listSegments(directory)) {
			if (segment.first < at.segment) continue;
			at = { segment: segment.first, offset: segment.first === at.segment ? at.offset : 0 };
			// A part at a time, so that a slow reader does not make everything wait in memory.
			while (at.offset < segment.bytes && !stopped()) {
				const lines: Buffer[] = [];
				let bytes = 0;
				const range = { from: at.offset, to: segment.bytes };
				const end = await readLinesIfThere(
					join(directory, segment.name),
					line => {
						lines.push(Buffer.from(line));
						bytes += line.length;
						return bytes < CHUNK ? undefined : false;
					},
					range,
				);
				if (lines.length === 0) break;
				at = { segment: segment.first, offset: end.offset };
				await onLines(lines);
			}
		}
		if (!options.follow || stopped()) return;
		try {
			await sleep(POLL_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
		} catch {
			return;
		}
	}
}

/** Where the last `count` lines begin. */
async function startOf(directory: string, count: number): Promise<{ segment: number; offset: number }> {
	const segments = await listSegments(directory);
	let left = count;
	for (const segment of segments.toReversed()) {
		const found = await backwards(join(directory, segment.name), segment.bytes, left);
		left = found.left;
		if (left === 0) return { segment: segment.first, offset: found.offset };
	}
	return { segment: 0, offset: 0 };
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
