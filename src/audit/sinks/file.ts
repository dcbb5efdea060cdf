import { type FileHandle, open, stat } from 'node:fs/promises';
import { sinkKey } from '../../config/sink-name.ts';
import type { Delivery, Sink, SinkKind } from './sink.ts';

/** How much of a file's end is searched for the end of its last whole line. */
const TAIL = 64 * 1024;

/** A file that is appended to. It may be moved away at any time (logrotate): then a new one is begun. */
class FileSink implements Sink {
	readonly #path: string;
	#file: FileHandle | undefined;
	#identity = '';

	constructor(path: string) {
		this.#path = path;
	}

	async deliver({ lines }: Delivery): Promise<void> {
		const file = await this.#current();
		const { size } = await file.stat();
		try {
			for (let at = 0; at < lines.length; ) at += (await file.write(lines, at, lines.length - at, null)).bytesWritten;
		} catch (error) {
			// All or nothing: it comes again as a whole.
			await file.truncate(size).catch(() => {});
			throw error;
		}
	}

	async close(): Promise<void> {
		const file = this.#file;
		this.#file = undefined;
		await file?.close();
	}

	async #current(): Promise<FileHandle> {
		if (this.#file !== undefined) {
			if ((await identityOf(this.#path)) === this.#identity) return this.#file;
			await this.close();
		}
		const file = await open(this.#path, 'a+', 0o640);
		try {
			const found = await file.stat();
			if (!found.isFile()) throw new Error('it is no regular file');
			const { dev, ino } = found;
			await cutTornLine(file);
			this.#identity = `${dev} ${ino}`;
		} catch (error) {
			await file.close();
			throw error;
		}
		this.#file = file;
		return file;
	}
}

async function identityOf(path: string): Promise<string> {
	try {
		const { dev, ino } = await stat(path);
		return `${dev} ${ino}`;
	} catch {
		return '';
	}
}

/** A run that was killed may have left part of a line. */
async function cutTornLine(file: FileHandle): Promise<void> {
	const { size } = await file.stat();
	const length = Math.min(size, TAIL);
	if (length === 0) return;
	const tail = Buffer.alloc(length);
	await file.read(tail, 0, length, size - length);
	if (tail[length - 1] === 10) return;
	const last = tail.lastIndexOf(10);
	if (last !== -1) await file.truncate(size - length + last + 1);
	else if (length === size) await file.truncate(0);
	else await file.write('\n');
}

export const file: SinkKind = {
	name: 'file',
	make(config) {
		if (!('file' in config)) return undefined;
		return { key: sinkKey(config), types: config.file.types, sink: new FileSink(config.file.path) };
	},
};
