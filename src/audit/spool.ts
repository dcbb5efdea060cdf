import { hash } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordType } from '../model/record.ts';
import { codeOf, type SpoolIo } from './io.ts';
import { flat } from './line.ts';
import type { Kept } from './outage.ts';
import { lineHead, opensCall } from './reader.ts';
import { type Segment, segmentName } from './segment.ts';
import { Timestamps } from './timestamps.ts';

/** What stands as `prev` in the first record of a chain. */
export const GENESIS = '0'.repeat(64);

/** Bytes that wait for one write; more of one turn of the event loop is written in several. */
const BUFFER_BYTES = 256 * 1024;
const LF = 10;

/** Where a chain stands: the last record that is in it. */
export interface Head {
	readonly chain: string;
	readonly seq: number;
	/** SHA-256, lower-case hex, of the last record's line without its line feed. */
	readonly hash: string;
}

/** How many records of each type. */
export type Counts = Readonly<Record<RecordType, number>>;

/** A record of a write that failed. */
export interface Unwritten {
	readonly record: Kept;
	/** As it was appended. */
	readonly keep: boolean;
	/** Id of the decision that lets a call go; undefined for other records. */
	readonly opens: string | undefined;
}

export interface Failure {
	/** An error code such as `ENOSPC`. */
	readonly code: string;
	readonly lost: readonly Unwritten[];
}

export interface SpoolOptions {
	readonly directory: string;
	readonly instance: string;
	readonly head: Head;
	readonly segments: readonly Segment[];
	/** Greatest number of bytes of all segments together. */
	readonly limit: number;
	readonly io: SpoolIo;
	/** Whether `sync` is used: then a file stays open until a sync that began after its end. */
	readonly syncs: boolean;
	/** After each write: how many of which type are in the chain now, or why none of them is. */
	readonly written: (counts: Counts, failure: Failure | undefined) => void;
}

/**
 * The chain on disk: builds lines, links them by hash, and writes those of one turn together. A write that fails leaves
 * no trace: the file is cut back to its last whole line and the chain stands where it stood.
 */
export class Spool {
	readonly directory: string;
	readonly chain: string;
	readonly #options: SpoolOptions;
	readonly #io: SpoolIo;
	/** How a line begins, by type. */
	readonly #begins: Readonly<Record<RecordType, string>>;
	/** What follows the timestamp. */
	readonly #instancePart: string;
	readonly #timestamps = new Timestamps();
	readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
	readonly #segments: Segment[];
	#counts = byType(() => 0);
	/** Where those lines begin that must not be lost; only the first `#keepCount` count. */
	readonly #keeps: number[] = [];
	#keepCount = 0;
	/** Where lines wait: the buffer, or one line that is larger than it. */
	#pending: Buffer = this.#buffer;
	#used = 0;
	#current: Segment | undefined;
	#seq: number;
	#prev: string;
	/** What is on disk: `seq` and hash of the last record. */
	#writtenSeq: number;
	#writtenHash: string;
	#bytes: number;
	#fd: number | undefined;
	/** Files of ended segments that still need a sync. */
	#retired: number[] = [];
	/** A failed write may have left part of a line that could not be cut off yet. */
	#torn = false;
	#latest = 0;

	constructor(options: SpoolOptions) {
		this.#options = options;
		this.#io = options.io;
		this.directory = options.directory;
		this.chain = options.head.chain;
		this.#begins = byType(type => flat(`{"type":"${type}","chain":"${options.head.chain}","seq":`));
		this.#instancePart = flat(`,"instance":${JSON.stringify(options.instance)}`);
		this.#segments = [...options.segments];
		this.#seq = this.#writtenSeq = options.head.seq;
		this.#prev = this.#writtenHash = options.head.hash;
		this.#bytes = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
	}

	/** Bytes on disk and waiting. */
	get bytes(): number {
		return this.#bytes + this.#used;
	}

	/** The last record, written or waiting. */
	get head(): Head {
		return { chain: this.chain, seq: this.#seq, hash: this.#prev };
	}

	/** The last record on disk. */
	get written(): Head {
		return { chain: this.chain, seq: this.#writtenSeq, hash: this.#writtenHash };
	}

	get segments(): readonly Segment[] {
		return this.#segments;
	}

	/** Seq of the next record. */
	get next(): number {
		return this.#seq + 1;
	}

	/** How the next line begins; what is signed in a checkpoint begins with it. */
	begin(type: RecordType, time: number): string {
		return `${this.#begins[type]}${this.#seq + 1},"prev":"${this.#prev}","timestamp":"${this.#timestamps.text(time)}"${this.#instancePart}`;
	}

	/**
	 * Adds a record to what the next flush writes. `body` begins with a comma and has no line break. False when it would
	 * pass `limit` bytes less `reserve`; nothing is changed then. `keep` is what `written` says of it if it cannot be
	 * written.
	 */
	append(type: RecordType, time: number, body: string, reserve = 0, keep = false): boolean {
		let line = `${this.begin(type, time)}${body}}\n`;
		// A UTF-16 unit takes at most three bytes: counted exactly only when that could matter.
		let length = line.length * 3;
		if (length > this.#room) {
			length = Buffer.byteLength(line);
			if (length > this.#room) {
				this.flush();
				// A flush that failed took the chain back.
				line = `${this.begin(type, time)}${body}}\n`;
			}
		}
		if (this.bytes + Math.min(length, line.length) > this.#options.limit - reserve) return false;
		this.#latest = time;
		this.#counts[type]++;
		if (keep) this.#keeps[this.#keepCount++] = this.#used;
		if (length > this.#room) {
			this.#pending = Buffer.from(line);
			this.#link(0, this.#pending.length);
		} else this.#link(this.#used, this.#used + this.#buffer.write(line, this.#used));
		return true;
	}

	/** Writes what waits. `written` is told how it went before this returns; nothing is told when nothing waits. */
	flush(): void {
		if (this.#used === 0) return;
		let failure: Failure | undefined;
		try {
			const { fd, segment } = this.#file();
			if (this.#torn) this.#cut(fd, segment);
			this.#writeAll(fd, segment);
			segment.bytes += this.#used;
			segment.ended = this.#latest;
			this.#bytes += this.#used;
			this.#writtenSeq = this.#seq;
			this.#writtenHash = this.#prev;
		} catch (error) {
			failure = { code: codeOf(error), lost: this.#unwritten() };
			this.#seq = this.#writtenSeq;
			this.#prev = this.#writtenHash;
		}
		this.#pending = this.#buffer;
		this.#used = 0;
		this.#keepCount = 0;
		const counts = this.#counts;
		this.#counts = byType(() => 0);
		this.#options.written(counts, failure);
	}

	/** Ends the segment that is written to: the next record begins another one. Throws when it cannot be left whole. */
	rotate(): void {
		this.flush();
		if (this.#torn && this.#fd !== undefined && this.#current !== undefined) this.#cut(this.#fd, this.#current);
		if (this.#fd !== undefined) {
			if (this.#options.syncs) this.#retired.push(this.#fd);
			else this.#close(this.#fd);
		}
		this.#fd = undefined;
		this.#current = undefined;
	}

	/** Puts what is written on the disk itself. One at a time. */
	sync(done: (error: Error | null) => void): void {
		const retired = this.#retired;
		this.#retired = [];
		const files = this.#fd === undefined ? retired : [...retired, this.#fd];
		let failure: Error | null = null;
		const next = (at: number): void => {
			const fd = files[at];
			if (fd !== undefined) {
				this.#io.sync(fd, error => {
					failure ??= error;
					next(at + 1);
				});
				return;
			}
			for (const ended of retired) this.#close(ended);
			done(failure);
		};
		next(0);
	}

	/** Deletes the oldest segment, which must not be the one that is written to. */
	async drop(segment: Segment): Promise<void> {
		if (segment !== this.#segments[0] || segment === this.#current) throw new Error('only the oldest, ended segment');
		await unlink(join(this.directory, segment.name));
		this.#segments.shift();
		this.#bytes -= segment.bytes;
	}

	/** No sync may be under way. */
	close(): void {
		this.flush();
		for (const fd of this.#retired) this.#close(fd);
		if (this.#fd !== undefined) this.#close(this.#fd);
		this.#retired = [];
		this.#fd = undefined;
	}

	/** The segment that is written to; undefined right after a rotation. */
	get current(): Segment | undefined {
		return this.#current;
	}

	get #room(): number {
		return this.#pending === this.#buffer ? BUFFER_BYTES - this.#used : 0;
	}

	/** What close(2) complains about was written, or was reported by the sync before. */
	#close(fd: number): void {
		try {
			this.#io.close(fd);
		} catch {
			// The descriptor is gone either way.
		}
	}

	#link(from: number, to: number): void {
		this.#prev = hash('sha256', this.#pending.subarray(from, to - 1), 'hex');
		this.#seq++;
		this.#used = to;
	}

	/** Reads what waits back into records. */
	#unwritten(): readonly Unwritten[] {
		const lost: Unwritten[] = [];
		let kept = 0;
		for (let at = 0; at < this.#used; ) {
			const end = this.#pending.indexOf(LF, at);
			const line = this.#pending.subarray(at, end);
			const keep = kept < this.#keepCount && this.#keeps[kept] === at;
			if (keep) kept++;
			const head = lineHead(line);
			const text = line.toString();
			const body = text.slice(text.indexOf(this.#instancePart) + this.#instancePart.length, -1);
			if (head !== undefined) {
				const record = { type: head.type as RecordType, time: Date.parse(head.timestamp), body };
				lost.push({ record, keep, opens: opensCall(head) ? head.decisionId : undefined });
			}
			at = end + 1;
		}
		return lost;
	}

	#writeAll(fd: number, segment: Segment): void {
		let at = 0;
		try {
			while (at < this.#used) {
				const wrote = this.#io.write(fd, this.#pending, at, this.#used - at);
				if (wrote <= 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
				at += wrote;
			}
		} catch (error) {
			this.#torn = true;
			try {
				this.#cut(fd, segment);
			} catch {
				// Still torn: cut before the next write, or at the next start.
			}
			throw error;
		}
	}

	#cut(fd: number, segment: Segment): void {
		this.#io.truncate(fd, segment.bytes);
		this.#torn = false;
	}

	#file(): { fd: number; segment: Segment } {
		let segment = this.#current;
		if (segment === undefined) {
			// Named by the first record that goes into it: the one after the last on disk.
			const first = this.#writtenSeq + 1;
			const last = this.#segments.at(-1);
			if (last?.first === first) segment = last;
			else segment = { name: segmentName(first), first, bytes: 0, begun: this.#latest, ended: this.#latest };
		}
		if (this.#fd === undefined) this.#fd = this.#io.open(join(this.directory, segment.name));
		if (segment !== this.#segments.at(-1)) this.#segments.push(segment);
		this.#current = segment;
		return { fd: this.#fd, segment };
	}
}

const byType = <T>(make: (type: RecordType) => T): Record<RecordType, T> => ({
	decision: make('decision'),
	outcome: make('outcome'),
	session: make('session'),
	control: make('control'),
	checkpoint: make('checkpoint'),
	gap: make('gap'),
});
