import { hash } from 'node:crypto';
import { closeSync, fdatasync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordType } from '../model/record.ts';
import { Timestamps } from './line.ts';
import { type Segment, segmentName } from './segment.ts';

/** What stands as `prev` in the first record of a chain. */
export const GENESIS = '0'.repeat(64);

/** Bytes that wait for one write; more of one turn of the event loop is written in several. */
const BUFFER_BYTES = 256 * 1024;

/** The system calls of the spool, so that tests can let them fail. */
export interface SpoolIo {
	/** For appending. */
	open(path: string): number;
	/** As write(2): may write less than it was given. */
	write(fd: number, buffer: Uint8Array, offset: number, length: number): number;
	truncate(fd: number, length: number): void;
	sync(fd: number, done: (error: Error | null) => void): void;
	close(fd: number): void;
}

export const spoolIo: SpoolIo = {
	open: path => openSync(path, 'a', 0o640),
	write: (fd, buffer, offset, length) => writeSync(fd, buffer, offset, length),
	truncate: (fd, length) => ftruncateSync(fd, length),
	sync: (fd, done) => fdatasync(fd, done),
	close: fd => closeSync(fd),
};

/** Where a chain stands: the last record that is in it. */
export interface Head {
	readonly chain: string;
	readonly seq: number;
	/** SHA-256, lower-case hex, of the last record's line without its line feed. */
	readonly hash: string;
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
	readonly written: (failure: string | undefined, counts: ReadonlyMap<RecordType, number>) => void;
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
	readonly #chainPart: string;
	readonly #instancePart: string;
	readonly #timestamps = new Timestamps();
	readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
	readonly #segments: Segment[];
	readonly #counts = new Map<RecordType, number>();
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
		this.#chainPart = `","chain":"${options.head.chain}","seq":`;
		this.#instancePart = `","instance":${JSON.stringify(options.instance)}`;
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
		return `{"type":"${type}${this.#chainPart}${this.#seq + 1},"prev":"${this.#prev}","timestamp":"${this.#timestamps.text(time)}${this.#instancePart}`;
	}

	/**
	 * Adds a record to what the next flush writes. `body` begins with a comma and has no line break. False when it would
	 * pass `limit` bytes less `reserve`; nothing is changed then.
	 */
	append(type: RecordType, time: number, body: string, reserve = 0): boolean {
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
		this.#counts.set(type, (this.#counts.get(type) ?? 0) + 1);
		if (length > this.#room) {
			this.#pending = Buffer.from(line);
			this.#link(0, this.#pending.length);
		} else this.#link(this.#used, this.#used + this.#buffer.write(line, this.#used));
		return true;
	}

	/** Writes what waits. `written` is told how it went before this returns; nothing is told when nothing waits. */
	flush(): void {
		if (this.#used === 0) return;
		let failure: string | undefined;
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
			failure = codeOf(error);
			this.#seq = this.#writtenSeq;
			this.#prev = this.#writtenHash;
		}
		this.#pending = this.#buffer;
		this.#used = 0;
		const counts = new Map(this.#counts);
		this.#counts.clear();
		this.#options.written(failure, counts);
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

	/** Goes on with the last segment of an earlier run. */
	resume(): void {
		this.#current = this.#segments.at(-1);
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

export function codeOf(error: unknown): string {
	if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
	return error instanceof Error ? error.message : String(error);
}
