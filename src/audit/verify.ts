import { hash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RECORD_TYPES } from '../model/record.ts';
import { type Checkpoint, readCheckpoint } from './checkpoint.ts';
import type { Held } from './held.ts';
import { parseRecord } from './read-record.ts';
import { lineHead, opensCall, readLines } from './reader.ts';
import { listSegments } from './segment.ts';
import { GENESIS } from './spool.ts';
import { distrust, type Trust, trusts } from './trust.ts';

/** The first place at which a chain does not hold. */
export interface Fault {
	readonly segment: string;
	/** From 1; 0 when it is not in a line but after the last. */
	readonly line: number;
	/** As the line says, or as it should be when the line says nothing. */
	readonly seq: number;
	readonly problem: string;
}

export interface CheckpointRef {
	readonly seq: number;
	readonly time: string;
	readonly keyId: string | undefined;
	/** From the certificate; only when it was checked. */
	readonly owner: string | undefined;
}

export interface Verification {
	readonly chain: string | undefined;
	readonly records: number;
	/** `seq` of the first and last record that are there. */
	readonly first: number;
	readonly last: number;
	/** Records before `first`, deleted for retention by a record in the chain. */
	readonly retired: number;
	/** The last checkpoint of the directory whose signature holds, by a trusted key if one was asked for. */
	readonly signed: CheckpointRef | undefined;
	/** The last checkpoint held elsewhere that the chain contains. */
	readonly held: CheckpointRef | undefined;
	/** Decisions that let a call go and have no outcome; the first of them by id, and how many there are. */
	readonly open: readonly string[];
	readonly openCount: number;
	/** Outcomes that say `unknown`. */
	readonly unknown: number;
	/** Records lost or repaired, as the chain itself says. */
	readonly gaps: readonly { readonly seq: number; readonly gap: unknown }[];
	/** Bytes after the last record while a running Sallyport writes it. */
	readonly unfinished: number;
	readonly fault: Fault | undefined;
}

export interface VerifyOptions {
	/** Checkpoints held elsewhere, by `readHeld`. */
	readonly held?: Held;
	/** Whose signatures count; any valid one when absent. */
	readonly trust?: Trust;
	/** Is told every record that holds. */
	readonly list?: { add(seq: number, type: string, digest: string): void };
	/** Bytes read so far and in all, now and then. */
	readonly progress?: (read: number, total: number) => void;
}

const TYPES: ReadonlySet<string> = new Set(RECORD_TYPES);

/** Open decisions, and gaps, that are named. */
const NAMED = 1000;
/** Open decisions that are followed at one time. */
const FOLLOWED = 1_000_000;

/**
 * Reads the whole chain of a directory and checks every link and signature. Faults are reported, not thrown; throws only
 * when the directory cannot be read.
 */
export async function verifyDirectory(directory: string, options: VerifyOptions = {}): Promise<Verification> {
	const segments = await listSegments(directory);
	const total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
	const checker = new Checker(options);
	let done = 0;
	let unfinished = 0;
	for (const [index, segment] of segments.entries()) {
		const path = join(directory, segment.name);
		checker.begin(segment.name, segment.first);
		const end = await readLines(path, line => (checker.line(line) ? undefined : false), { to: segment.bytes });
		done += segment.bytes;
		options.progress?.(done, total);
		if (checker.fault !== undefined) break;
		if (end.rest === 0) continue;
		const growing = index === segments.length - 1 && (await grows(path, segment.bytes));
		if (growing) unfinished = end.rest;
		else checker.torn(end.rest, end.overlong);
	}
	checker.end();
	return { ...checker.result(), unfinished };
}

/** Whether a file's last line is only half there because it is being written right now. */
async function grows(path: string, size: number): Promise<boolean> {
	for (let i = 0; i < 10; i++) {
		if ((await stat(path)).size !== size) return true;
		await new Promise(resolve => setTimeout(resolve, 20));
	}
	return false;
}

class Checker {
	readonly #o: VerifyOptions;
	readonly #open = new Set<string>();
	readonly #gaps: { readonly seq: number; readonly gap: unknown }[] = [];
	/** Where records were deleted for retention: their last `seq` and its hash. */
	readonly #retired = new Map<number, string>();
	#segment = '';
	#line = 0;
	#chain: string | undefined;
	#first: { seq: number; prev: string; segment: string } | undefined;
	#seq = 0;
	#hash = GENESIS;
	#records = 0;
	#unknown = 0;
	#signed: CheckpointRef | undefined;
	#held: CheckpointRef | undefined;
	fault: Fault | undefined;

	constructor(options: VerifyOptions) {
		this.#o = options;
	}

	begin(segment: string, first: number): void {
		this.#segment = segment;
		this.#line = 0;
		if (this.#first !== undefined && first !== this.#seq + 1)
			this.#wrong(`the segment should begin with ${this.#seq + 1}`);
	}

	/** False when there is nothing more to check. */
	line(line: Buffer): boolean {
		if (this.fault !== undefined) return false;
		this.#line++;
		const head = lineHead(line);
		const record = head === undefined ? undefined : parseRecord(line);
		if (head === undefined || record === undefined || !TYPES.has(head.type)) return this.#wrong('this is no record');
		if (head.type !== 'checkpoint' && 'checkpoint' in record) return this.#wrong('this was a checkpoint', head.seq);
		if (this.#first === undefined) {
			this.#chain = head.chain;
			this.#first = { seq: head.seq, prev: head.prev, segment: this.#segment };
			if (this.#segment !== '' && Number.parseInt(this.#segment, 10) !== head.seq) {
				return this.#wrong(`the segment begins with record ${head.seq}`, head.seq);
			}
		} else {
			if (head.chain !== this.#chain) return this.#wrong(`this record is of another chain, ${head.chain}`, head.seq);
			if (head.seq !== this.#seq + 1) return this.#wrong(`record ${this.#seq + 1} should be here`, head.seq);
			if (head.prev !== this.#hash) {
				return this.#wrong(
					`it does not follow record ${this.#seq} as that stands: one of the two was changed`,
					head.seq,
				);
			}
		}
		this.#seq = head.seq;
		this.#records++;
		if (head.decisionId !== undefined && opensCall(head) && this.#open.size < FOLLOWED) this.#open.add(head.decisionId);
		if (head.type === 'outcome' && head.decisionId !== undefined) this.#open.delete(head.decisionId);
		if (head.type === 'outcome' && record.cause === 'unknown') this.#unknown++;
		if (head.type === 'gap' && this.#gaps.length < NAMED) this.#gaps.push({ seq: head.seq, gap: record.gap });
		if (head.type === 'control' && record.action === 'retention') this.#retention(record.detail);
		if (head.type === 'checkpoint' && !this.#checkpoint(line)) return false;
		this.#hash = hash('sha256', line, 'hex');
		this.#o.list?.add(head.seq, head.type, this.#hash);
		const held = this.#o.held?.at(head.chain, head.seq);
		if (held !== undefined) {
			if (held.hash !== this.#hash)
				return this.#wrong('a checkpoint held elsewhere says that this record was another', head.seq);
			this.#held = this.#reference(held);
		}
		return true;
	}

	torn(bytes: number, overlong: boolean): void {
		this.#line++;
		this.#wrong(overlong ? 'this line is longer than any record' : `${bytes} bytes that are no whole record`);
	}

	end(): void {
		if (this.fault !== undefined) return;
		const first = this.#first;
		const { held } = this.#o;
		if (first !== undefined) {
			this.#segment = first.segment;
			this.#line = 1;
			if (first.seq === 1 && first.prev !== GENESIS) this.#wrong('the first record follows another', 1);
			if (first.seq > 1 && this.#retired.get(first.seq - 1) !== first.prev) {
				this.#wrong(`records 1 to ${first.seq - 1} were removed, and no record says that they were retired`, first.seq);
			}
		}
		if (held === undefined || this.fault !== undefined) return;
		const last = this.#chain === undefined ? undefined : held.last(this.#chain);
		// Copies that end before the first checkpoint are compared record by record.
		if (this.#chain !== undefined && last === undefined && held.newest(this.#chain) > 0) return;
		if (this.#chain === undefined || last === undefined) {
			this.#wrong(
				`no checkpoint held elsewhere is of this chain${this.#chain === undefined ? '' : ` (${this.#chain})`}`,
			);
		} else if (last.seq > this.#seq) {
			this.#line = 0;
			this.#wrong(
				`records up to ${last.seq} are attested elsewhere; after ${this.#seq} they were removed`,
				this.#seq + 1,
			);
		}
	}

	result(): Omit<Verification, 'unfinished'> {
		const open: string[] = [];
		for (const id of this.#open) if (open.push(id) === NAMED) break;
		return {
			chain: this.#chain,
			records: this.#records,
			first: this.#first?.seq ?? 0,
			last: this.#seq,
			retired: Math.max(0, (this.#first?.seq ?? 1) - 1),
			signed: this.#signed,
			held: this.#held,
			open,
			openCount: this.#open.size,
			unknown: this.#unknown,
			gaps: this.#gaps,
			fault: this.fault,
		};
	}

	#checkpoint(line: Buffer): boolean {
		const checkpoint = readCheckpoint(line);
		if (checkpoint === undefined || checkpoint.signature === 'invalid') {
			return this.#wrong('the checkpoint does not hold: its signature or its statement is wrong', this.#seq);
		}
		if (checkpoint.signature === 'valid') {
			const { trust } = this.#o;
			const reference = this.#reference(checkpoint);
			if (trust !== undefined && reference.owner === undefined) {
				return this.#wrong(
					`the checkpoint is signed by a key that is not trusted: ${distrust(trust, checkpoint)}`,
					this.#seq,
				);
			}
			this.#signed = reference;
		}
		return true;
	}

	#reference(checkpoint: Checkpoint): CheckpointRef {
		const { seq, time, keyId } = checkpoint;
		const owner = this.#o.trust === undefined ? undefined : trusts(this.#o.trust, checkpoint);
		return { seq, time, keyId, owner };
	}

	#retention(detail: unknown): void {
		if (typeof detail !== 'object' || detail === null || !('last' in detail) || !('hash' in detail)) return;
		if (typeof detail.last === 'number' && typeof detail.hash === 'string') this.#retired.set(detail.last, detail.hash);
	}

	#wrong(problem: string, seq = this.#seq + 1): false {
		this.fault ??= { segment: this.#segment, line: this.#line, seq, problem };
		return false;
	}
}
