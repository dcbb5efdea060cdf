import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditDeps } from '../contract.ts';
import { codeOf } from '../io.ts';
import { type LineHead, LONGEST_LINE, lineHead } from '../reader.ts';
import type { Segment } from '../segment.ts';
import { Pace } from './pace.ts';
import type { Position, Positions } from './positions.ts';
import { Untaken } from './remote/sent.ts';
import type { Delivery, SinkMade, SinkStatus, Source } from './sink.ts';

/** Bytes of one delivery, unless one line, or what fills a body, is longer. */
const CHUNK = 256 * 1024;
/** How long records gather before a sink that had everything is woken. */
const GATHER_MS = 50;
const SAVE_MS = 1000;
/** As well as records compress, roughly: by that, how many of them fill a body. */
const COMPRESSION = 8;
const LARGEST_CHUNK = 4 * 1024 * 1024;
const LF = 10;

export interface FeedOptions extends SinkMade, Pick<AuditDeps, 'metrics' | 'log'> {
	readonly source: Source;
	readonly positions: Positions;
	/** It has every record up to this one, or has refused it for good. */
	readonly taken?: (seq: number) => void;
}

/** A delivery, and when its first and last record were written (those that the sink does not want included). */
interface Selected extends Delivery {
	readonly first: number | undefined;
	readonly last: number | undefined;
}

/** Reads the spool at the pace of one sink and hands it what it wants: one delivery in memory, whatever the sink does. */
export class Feed {
	readonly #o: FeedOptions;
	readonly #types: ReadonlySet<string> | undefined;
	readonly #pace: Pace;
	/** Bytes of one delivery. */
	readonly #chunk: number;
	#position: Position;
	#file: { first: number; handle: FileHandle } | undefined;
	#running = false;
	/** It is woken with the next turn of the event loop. */
	#soon = false;
	#woken: NodeJS.Timeout | undefined;
	#wait: { timer: NodeJS.Timeout; go: () => void } | undefined;
	#idle: (() => void)[] = [];
	#closing = false;
	#stopped = false;
	#saved = 0;
	#seq: number | undefined;
	#oldest: number | undefined;
	#error: string | undefined;
	#refused = 0;

	constructor(options: FeedOptions) {
		this.#o = options;
		this.#types = options.types === undefined ? undefined : new Set([...options.types, 'checkpoint']);
		this.#pace = new Pace(options.rate);
		const body = (options.gather?.bytes ?? 0) * COMPRESSION;
		this.#chunk = Math.min(LARGEST_CHUNK, Math.max(CHUNK, body));
		this.#position = options.positions.get(options.key) ?? { segment: 0, offset: 0 };
		this.wake();
	}

	/** There may be more to read. */
	wake(): void {
		if (this.#running || this.#stopped || this.#soon) return;
		const { gather } = this.#o;
		if (gather === undefined) {
			this.#woken ??= setTimeout(() => this.#go(), GATHER_MS);
		} else {
			// Enough for a whole body does not wait for more.
			this.#soon = gather.age === 0 || this.#behind() >= this.#chunk;
			if (this.#woken !== undefined && !this.#soon) return;
			clearTimeout(this.#woken);
			this.#woken = setTimeout(() => this.#go(), this.#soon ? 0 : gather.age);
		}
		this.#woken.unref();
	}

	/** Whether everything of an ended segment was taken. */
	isPast(segment: Segment): boolean {
		const { segment: at, offset } = this.#position;
		return at > segment.first || (at === segment.first && offset >= segment.bytes);
	}

	status(): SinkStatus {
		return {
			sink: this.#o.key,
			...(this.#seq === undefined ? {} : { seq: this.#seq }),
			behind: this.#behind(),
			...(this.#refused === 0 ? {} : { refused: this.#refused }),
			...(this.#error === undefined ? {} : { error: this.#error }),
		};
	}

	/** So many records were refused for good. */
	refused(count: number): void {
		this.#refused += count;
	}

	/** Under which its position is kept. */
	get key(): string {
		return this.#o.key;
	}

	/** Delivers what is there, waiting for the sink for at most `patience` milliseconds. */
	async close(patience: number): Promise<void> {
		this.#closing = true;
		clearTimeout(this.#woken);
		const idle = new Promise<void>(resolve => this.#idle.push(resolve));
		if (!this.#running) this.#go();
		// A sink that had time to recover is not waited for once more.
		this.#wait?.go();
		let timer: NodeJS.Timeout | undefined;
		const late = new Promise<void>(resolve => {
			timer = setTimeout(resolve, patience);
		});
		await Promise.race([idle, late]);
		clearTimeout(timer);
		this.#stopped = true;
		this.#wait?.go();
		if (this.#running) this.#o.sink.abandon?.();
		else await this.#o.sink.close().catch(() => {});
		await this.#save();
		await this.#file?.handle.close().catch(() => {});
		this.#file = undefined;
	}

	#go(): void {
		this.#woken = undefined;
		this.#soon = false;
		if (this.#running) return;
		this.#running = true;
		this.#run()
			.catch((error: unknown) => this.#fail(error))
			.finally(() => {
				this.#running = false;
				const more = !this.#stopped && this.#next() !== undefined;
				// What came while the positions were being saved belongs to what is there.
				if (more && this.#closing) {
					this.#go();
					return;
				}
				const idle = this.#idle;
				this.#idle = [];
				for (const resolve of idle) resolve();
				if (more) this.wake();
			});
	}

	async #run(): Promise<void> {
		while (!this.#stopped) {
			try {
				const read = await this.#read();
				if (read === undefined) break;
				this.#oldest = read.delivery.first;
				if (read.delivery.count > 0) await this.#o.sink.deliver(read.delivery);
				this.#seq = read.delivery.seq;
				this.#o.taken?.(read.delivery.seq);
				this.#position = read.position;
				this.#o.positions.set(this.#o.key, read.position);
				if (this.#error !== undefined) this.#o.log('info', 'the audit sink takes records again', { sink: this.#o.key });
				this.#error = undefined;
				this.#o.metrics.oldestUnsent(this.#o.key, this.#behind() === 0 ? undefined : read.delivery.last);
				if (Date.now() - this.#saved >= SAVE_MS) await this.#save();
				const pause = this.#pace.took(read.delivery.lines.length);
				if (pause > 0 && !this.#closing) await this.#sleep(pause);
			} catch (error) {
				this.#fail(error);
				if (this.#stopped) break;
				await this.#sleep(this.#pace.failed(error instanceof Untaken ? error.pause : undefined));
			}
		}
		if (this.#behind() === 0) this.#o.metrics.oldestUnsent(this.#o.key, undefined);
		await this.#save();
	}

	#fail(error: unknown): void {
		const said = codeOf(error);
		if (this.#error !== said)
			this.#o.log('warn', 'the audit sink takes no records', { sink: this.#o.key, error: said });
		this.#error = said;
		this.#o.metrics.oldestUnsent(this.#o.key, this.#oldest);
	}

	#sleep(ms: number): Promise<void> {
		return new Promise(resolve => {
			const go = (): void => {
				clearTimeout(timer);
				this.#wait = undefined;
				resolve();
			};
			const timer = setTimeout(go, ms);
			timer.unref();
			this.#wait = { timer, go };
		});
	}

	/** The segment and offset that is read next; undefined when everything was read. */
	#next(): { segment: Segment; offset: number } | undefined {
		const { segment: at, offset } = this.#position;
		for (const segment of this.#o.source.segments()) {
			if (segment.first < at) continue;
			const from = segment.first === at ? Math.min(offset, segment.bytes) : 0;
			if (from < segment.bytes) return { segment, offset: from };
		}
		return undefined;
	}

	async #read(): Promise<{ delivery: Selected; position: Position } | undefined> {
		const next = this.#next();
		if (next === undefined) return undefined;
		const { segment, offset } = next;
		const handle = await this.#handle(segment);
		for (let size = this.#chunk; ; size = Math.min(size * 2, LONGEST_LINE)) {
			const length = Math.min(size, segment.bytes - offset);
			const buffer = Buffer.allocUnsafe(length);
			const { bytesRead } = await handle.read(buffer, 0, length, offset);
			const end = buffer.lastIndexOf(LF, bytesRead - 1) + 1;
			if (end === 0 || bytesRead === 0) {
				if (size < LONGEST_LINE && length === size) continue;
				throw new Error(`no whole record at ${segment.name}:${offset}`);
			}
			const delivery = this.#select(buffer.subarray(0, end));
			const position = { segment: segment.first, offset: offset + end };
			return { delivery, position };
		}
	}

	#select(lines: Buffer): Selected {
		const wanted: Buffer[] = [];
		let count = 0;
		let last = 0;
		for (let at = 0, lf = lines.indexOf(LF); lf !== -1; at = lf + 1, lf = lines.indexOf(LF, at)) {
			last = at;
			if (this.#types !== undefined && !this.#types.has(typeOf(lines, at))) continue;
			count++;
			if (this.#types !== undefined) wanted.push(lines.subarray(at, lf + 1));
		}
		const first = lineHead(lines.subarray(0, lines.indexOf(LF)));
		const head = lineHead(lines.subarray(last, lines.length - 1));
		const chosen = this.#types === undefined ? lines : Buffer.concat(wanted);
		return { lines: chosen, count, seq: head?.seq ?? this.#seq ?? 0, first: timeOf(first), last: timeOf(head) };
	}

	async #handle(segment: Segment): Promise<FileHandle> {
		if (this.#file?.first === segment.first) return this.#file.handle;
		await this.#file?.handle.close();
		this.#file = undefined;
		const handle = await open(join(this.#o.source.directory, segment.name), 'r');
		this.#file = { first: segment.first, handle };
		return handle;
	}

	#behind(): number {
		const { segment: at, offset } = this.#position;
		let bytes = 0;
		for (const segment of this.#o.source.segments()) {
			if (segment.first > at) bytes += segment.bytes;
			else if (segment.first === at) bytes += Math.max(0, segment.bytes - offset);
		}
		return bytes;
	}

	async #save(): Promise<void> {
		this.#saved = Date.now();
		try {
			await this.#o.positions.save();
		} catch (error) {
			this.#o.log('warn', 'the positions of audit sinks cannot be saved', { error: codeOf(error) });
		}
	}
}

const timeOf = (head: LineHead | undefined): number | undefined =>
	head === undefined ? undefined : Date.parse(head.timestamp);

const TYPE = Buffer.from('{"type":"');

/** The type of the record that begins at `at`; empty when it does not begin as records do. */
function typeOf(lines: Buffer, at: number): string {
	const from = at + TYPE.length;
	if (lines.compare(TYPE, 0, TYPE.length, at, from) !== 0) return '';
	const to = lines.indexOf(0x22, from);
	return to === -1 || to - from > 16 ? '' : lines.toString('latin1', from, to);
}
