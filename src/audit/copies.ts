import { hash } from 'node:crypto';
import { RECORD_TYPES, type RecordType } from '../model/record.ts';
import { readElements } from './elements.ts';
import { lineHead } from './reader.ts';
import type { Fault } from './verify.ts';

/** Of a hash, bytes: enough that no other record has the same by chance or by work. */
const KEPT = 16;

const TYPES: readonly string[] = RECORD_TYPES;

/** What a verified chain holds, in a few bytes for each record: its type and hash. */
export class RecordList {
	#first = 0;
	#count = 0;
	#bytes = Buffer.alloc(KEPT * 1024);
	#types = Buffer.alloc(1024);

	/** Records come in the order of the chain. `digest` is lower-case hex. */
	add(seq: number, type: string, digest: string): void {
		if (this.#count === 0) this.#first = seq;
		if (this.#count === this.#types.length) {
			this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
			this.#types = Buffer.concat([this.#types, Buffer.alloc(this.#types.length)]);
		}
		this.#bytes.write(digest.slice(0, KEPT * 2), this.#count * KEPT, 'hex');
		this.#types[this.#count] = TYPES.indexOf(type);
		this.#count++;
	}

	get first(): number {
		return this.#first;
	}

	get last(): number {
		return this.#first + this.#count - 1;
	}

	/** Whether the record with this number has this hash. */
	is(seq: number, digest: string): boolean {
		const at = (seq - this.#first) * KEPT;
		return this.#bytes.toString('hex', at, at + KEPT) === digest.slice(0, KEPT * 2);
	}

	type(seq: number): RecordType | undefined {
		return RECORD_TYPES[this.#types[seq - this.#first] ?? -1];
	}
}

/** What copies elsewhere hold of a chain. */
export interface Copies {
	/** Records of it that they hold, each counted once, however often it came. */
	readonly records: number;
	/** The last of those; 0 when there is none. */
	readonly last: number;
	/** Types of records that they hold at all. */
	readonly types: readonly RecordType[];
	/** Records of those types up to `last` that they do not hold, by type. */
	readonly lacking: Readonly<Partial<Record<RecordType, number>>>;
	/** Records of other chains. */
	readonly others: number;
	readonly fault: Fault | undefined;
}

/**
 * Compares what sinks delivered with the chain, record by record: in any order, any number of times. `newest` is the last
 * record that they held before the chain was read. Rejects when a file cannot be read.
 */
export async function compareCopies(
	paths: readonly string[],
	chain: string,
	list: RecordList,
	newest: number,
): Promise<Copies> {
	const seen = Buffer.alloc(Math.max(0, list.last - list.first + 1));
	let records = 0;
	let others = 0;
	let last = 0;
	let fault: Fault | undefined;
	for (const path of paths) {
		await readElements(path, (element, number) => {
			const head = lineHead(element);
			if (head === undefined || fault !== undefined) return;
			const { seq } = head;
			if (head.chain !== chain) others++;
			else if (seq > list.last) {
				if (seq <= newest)
					fault = {
						segment: path,
						line: number,
						seq,
						problem: `it is held elsewhere; here the records after ${list.last} were removed`,
					};
			} else if (seq >= list.first) {
				if (!list.is(seq, hash('sha256', element, 'hex'))) {
					fault = {
						segment: path,
						line: number,
						seq,
						problem: 'it is another one than here: one of the two was changed',
					};
				} else if (seen[seq - list.first] === 0) {
					seen[seq - list.first] = 1;
					records++;
					last = Math.max(last, seq);
				}
			}
		});
	}
	const held = new Set<RecordType>();
	const missing = new Map<RecordType, number>();
	for (let seq = list.first; seq <= last; seq++) {
		const type = list.type(seq);
		if (type === undefined) continue;
		if (seen[seq - list.first] === 1) held.add(type);
		else missing.set(type, (missing.get(type) ?? 0) + 1);
	}
	const lacking = Object.fromEntries([...missing].filter(([type]) => held.has(type)));
	return { records, last, types: RECORD_TYPES.filter(type => held.has(type)), lacking, others, fault };
}
