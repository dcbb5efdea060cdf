import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { LONGEST_LINE } from './reader.ts';

const LF = 10;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** With what logs begin as a collector writes them (OTLP 1.9, "JSON Protobuf Encoding"). */
const LOGS = '{"resourceLogs"';

/**
 * The JSON objects of a file that somebody keeps of what sinks delivered, each with the bytes that it has there: lines,
 * arrays, one after the other or gzipped; of logs in OTLP's JSON, the bodies. What is no object is passed over, and so is
 * one that a line feed breaks off, since no record holds one. An element is valid only during the call; `number` counts
 * them from 1, all logs of one object as one.
 */
export async function readElements(path: string, onElement: (element: Buffer, number: number) => void): Promise<void> {
	const file = createReadStream(path, { highWaterMark: 256 * 1024 });
	const source = (await isGzip(path)) ? file.pipe(createGunzip()) : file;
	if (source !== file) file.on('error', error => source.destroy(error));
	let count = 0;
	const scanner = new Scanner(element => {
		count++;
		if (element.toString('latin1', 0, LOGS.length) !== LOGS) onElement(element, count);
		else for (const body of bodiesOf(element)) onElement(Buffer.from(body), count);
	});
	for await (const chunk of source) if (Buffer.isBuffer(chunk)) scanner.feed(chunk);
}

/** Texts of the bodies of log records, wherever they are in the tree: resources, scopes, records. */
function bodiesOf(logs: Buffer): readonly string[] {
	const bodies: string[] = [];
	try {
		JSON.parse(logs.toString('utf8'), (key, value: unknown) => {
			if (key === 'body' && typeof value === 'object' && value !== null && 'stringValue' in value) {
				if (typeof value.stringValue === 'string') bodies.push(value.stringValue);
			}
			return value;
		});
	} catch {
		// Not written to its end: as good as not there.
	}
	return bodies;
}

async function isGzip(path: string): Promise<boolean> {
	const file = await open(path, 'r');
	try {
		const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
		return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
	} finally {
		await file.close();
	}
}

class Scanner {
	readonly #onElement: (element: Buffer) => void;
	/** Of the element that the chunks before began. */
	#parts: Buffer[] = [];
	#bytes = 0;
	#depth = 0;
	#string = false;
	#escaped = false;

	constructor(onElement: (element: Buffer) => void) {
		this.#onElement = onElement;
	}

	feed(chunk: Buffer): void {
		let start = 0;
		for (let at = 0; at < chunk.length; at++) {
			const byte = chunk[at];
			if (this.#depth === 0) {
				if (byte !== 0x7b) continue;
				start = at;
				this.#depth = 1;
			} else if (byte === LF) this.#forget();
			else if (this.#string) {
				if (this.#escaped) this.#escaped = false;
				else if (byte === BACKSLASH) this.#escaped = true;
				else if (byte === QUOTE) this.#string = false;
			} else if (byte === QUOTE) this.#string = true;
			else if (byte === 0x7b || byte === 0x5b) this.#depth++;
			else if (byte === 0x7d || byte === 0x5d) {
				this.#depth--;
				if (this.#depth > 0) continue;
				const end = chunk.subarray(start, at + 1);
				this.#onElement(this.#parts.length === 0 ? end : Buffer.concat([...this.#parts, end]));
				this.#forget();
			}
		}
		if (this.#depth === 0) return;
		this.#bytes += chunk.length - start;
		if (this.#bytes > LONGEST_LINE) this.#forget();
		else this.#parts.push(Buffer.from(chunk.subarray(start)));
	}

	#forget(): void {
		this.#parts = [];
		this.#bytes = 0;
		this.#depth = 0;
		this.#string = false;
		this.#escaped = false;
	}
}
