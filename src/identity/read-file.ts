import { open } from 'node:fs/promises';
import type { Broken } from './trust.ts';

/** Greatest size of a file with certificates or keys. */
const MAX_FILE = 1024 * 1024;

/** A file's bytes, up to 1 MiB or `most`. `broken` names the path and holds nothing of what is in the file. */
export async function readBytes(path: string, most = MAX_FILE): Promise<Buffer | Broken> {
	try {
		const file = await open(path, 'r');
		try {
			const { size } = await file.stat();
			return size > most ? { broken: `${path}: larger than ${most / 1024 ** 2} MiB` } : await file.readFile();
		} finally {
			await file.close();
		}
	} catch (error) {
		return { broken: error instanceof Error ? error.message : String(error) };
	}
}
