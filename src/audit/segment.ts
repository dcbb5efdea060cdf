import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of the chain. It is named by the `seq` of its first record, so that names sort as the chain runs. */
export interface Segment {
	readonly name: string;
	readonly first: number;
	/** Bytes of whole records. */
	bytes: number;
	/** Milliseconds since the epoch: when its first and last record were written, as far as is known. */
	begun: number;
	ended: number;
}

const NAME = /^(\d{16})\.jsonl$/;

export const segmentName = (first: number): string => `${String(first).padStart(16, '0')}.jsonl`;

/** The `seq` by which a segment is named; undefined when the name is not one of a segment. */
export function segmentFirst(name: string): number | undefined {
	const match = NAME.exec(name);
	return match === null ? undefined : Number(match[1]);
}

/** The segments of a directory, in the order of the chain. */
export async function listSegments(directory: string): Promise<Segment[]> {
	const segments: Segment[] = [];
	for (const name of await readdir(directory)) {
		const first = segmentFirst(name);
		if (first === undefined) continue;
		const { size, mtimeMs } = await stat(join(directory, name));
		segments.push({ name, first, bytes: size, begun: mtimeMs, ended: mtimeMs });
	}
	return segments.sort((a, b) => a.first - b.first);
}
