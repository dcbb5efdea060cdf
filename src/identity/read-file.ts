import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Broken } from './trust.ts';

/** Greatest size of a file with certificates or keys. */
const MAX_FILE = 1024 * 1024;
/** Least that is read at once. */
const SMALL = 4096;

/** A regular file's bytes, up to 1 MiB or `most`. `broken` names the path and holds nothing of what is in the file. */
export async function readBytes(path: string, most = MAX_FILE): Promise<Buffer | Broken> {
	try {
		// Without O_NONBLOCK a FIFO keeps a thread until somebody writes to it.
		const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
		try {
			const facts = await file.stat();
			if (!facts.isFile()) return { broken: `${path}: no regular file` };
			// It may grow while it is read, or say nothing of its size.
			const part = Buffer.allocUnsafe(Math.min(most, Math.max(facts.size, SMALL)) + 1);
			const parts: Buffer[] = [];
			let length = 0;
			while (length <= most) {
				const { bytesRead } = await file.read(part, 0, part.length, null);
				if (bytesRead === 0) return Buffer.concat(parts);
				length += bytesRead;
				parts.push(Buffer.from(part.subarray(0, bytesRead)));
			}
			return { broken: `${path}: larger than ${most / 1024 ** 2} MiB` };
		} finally {
			await file.close();
		}
	} catch (error) {
		return { broken: error instanceof Error ? error.message : String(error) };
	}
}
