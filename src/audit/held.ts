import { type Checkpoint, readCheckpoint } from './checkpoint.ts';
import { readElements } from './elements.ts';
import { lineHead } from './reader.ts';
import { distrust, type Trust, trusts } from './trust.ts';

/** Checkpoints that somebody keeps apart from the directory they attest. */
export interface Held {
	/** The one that covers exactly up to this record. */
	at(chain: string, seq: number): Checkpoint | undefined;
	last(chain: string): Checkpoint | undefined;
	/** `seq` of the last record of any type; 0 when there is none. */
	newest(chain: string): number;
	readonly count: number;
}

/**
 * From files of records such as sinks write or send: lines, or JSON arrays. What is no checkpoint in them is passed over.
 * Throws on a forged one.
 * An unsigned one counts unless signatures are asked for: that it was kept elsewhere is what it proves.
 */
export async function readHeld(paths: readonly string[], trust?: Trust): Promise<Held> {
	const chains = new Map<string, Map<number, Checkpoint>>();
	const newest = new Map<string, number>();
	let count = 0;
	for (const path of paths) {
		await readElements(path, line => {
			const head = lineHead(line);
			if (head !== undefined) newest.set(head.chain, Math.max(newest.get(head.chain) ?? 0, head.seq));
			if (!line.includes('"checkpoint"')) return;
			const checkpoint = readCheckpoint(line);
			if (checkpoint === undefined) return;
			if (checkpoint.signature === 'invalid')
				throw new Error(`${path}: the checkpoint of record ${checkpoint.seq} was forged`);
			if (trust !== undefined && trusts(trust, checkpoint) === undefined) {
				throw new Error(
					`${path}: the checkpoint of record ${checkpoint.seq} is signed by a key that is not trusted: ${distrust(trust, checkpoint)}`,
				);
			}
			const chain = chains.get(checkpoint.chain) ?? new Map<number, Checkpoint>();
			chains.set(checkpoint.chain, chain);
			const other = chain.get(checkpoint.seq);
			if (other !== undefined && other.hash !== checkpoint.hash) {
				throw new Error(`${path}: two checkpoints of record ${checkpoint.seq} contradict one another`);
			}
			chain.set(checkpoint.seq, checkpoint);
			count++;
		});
	}
	return {
		count,
		newest: chain => newest.get(chain) ?? 0,
		at: (chain, seq) => chains.get(chain)?.get(seq),
		last(chain) {
			let last: Checkpoint | undefined;
			for (const checkpoint of chains.get(chain)?.values() ?? []) {
				if (last === undefined || checkpoint.seq > last.seq) last = checkpoint;
			}
			return last;
		},
	};
}
