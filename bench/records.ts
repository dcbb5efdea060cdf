import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface Counted {
	readonly decisions: number;
	readonly outcomes: number;
}

const TYPE = /"type":"(decision|outcome)"/;
/** A record says its type among its first members. */
const HEAD = 200;

/** How many decisions and outcomes stand in an audit directory, whatever its segments are called. */
export async function countRecords(directory: string): Promise<Counted> {
	let decisions = 0;
	let outcomes = 0;
	for (const name of await readdir(directory)) {
		if (!name.endsWith('.jsonl')) continue;
		let rest = Buffer.alloc(0);
		for await (const part of createReadStream(join(directory, name), { highWaterMark: 1 << 20 })) {
			const data = Buffer.concat([rest, part as Buffer]);
			let begin = 0;
			for (;;) {
				const end = data.indexOf(10, begin);
				if (end < 0) break;
				const type = TYPE.exec(data.toString('latin1', begin, Math.min(end, begin + HEAD)))?.[1];
				if (type === 'decision') decisions++;
				else if (type === 'outcome') outcomes++;
				begin = end + 1;
			}
			rest = data.subarray(begin);
		}
	}
	return { decisions, outcomes };
}
