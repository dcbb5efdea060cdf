import { join } from 'node:path';
import { parseRecord, type ReadRecord } from '../../audit/read-record.ts';
import { lineHead, readLinesIfThere } from '../../audit/reader.ts';
import { listSegments } from '../../audit/segment.ts';

export interface Span {
	/** Milliseconds since the epoch. */
	readonly since: number;
	/** Not included. */
	readonly until: number;
}

/** Every decision of a time, one after the other, as it is read. Answers how many records of any kind there were. */
export async function eachDecision(
	directory: string,
	{ since, until }: Span,
	each: (record: ReadRecord) => void,
): Promise<number> {
	let records = 0;
	for (const segment of await listSegments(directory)) {
		// It was written to until then, and holds one record at least.
		if (segment.ended < since) {
			records++;
			continue;
		}
		await readLinesIfThere(join(directory, segment.name), line => {
			const head = lineHead(line);
			if (head === undefined) return undefined;
			records++;
			if (head.type !== 'decision') return undefined;
			const time = Date.parse(head.timestamp);
			if (time < since || time >= until) return undefined;
			const record = parseRecord(line);
			if (record !== undefined) each(record);
			return undefined;
		});
	}
	return records;
}
