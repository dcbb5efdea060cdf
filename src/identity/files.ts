import { open } from 'node:fs/promises';
import type { SvidMaterial } from './svid.ts';
import type { Broken } from './trust.ts';

/** Greatest size of any of the files. */
const MAX_FILE = 1024 * 1024;

export interface SvidPaths {
	readonly certificate: string;
	readonly key: string;
	readonly trust_bundle: string;
}

/** Reads the three files. What comes back may still be of two generations: `openSvid` finds that out. */
export async function readSvidFiles(paths: SvidPaths): Promise<SvidMaterial | Broken> {
	try {
		const [certificate, key, trustBundle] = await Promise.all([
			readText(paths.certificate),
			readText(paths.key),
			readText(paths.trust_bundle),
		]);
		return { certificate, key, trustBundle };
	} catch (error) {
		return { broken: error instanceof Error ? error.message : String(error) };
	}
}

/** A file's text, up to 1 MiB. Rejects with a message that names the path. */
export async function readText(path: string): Promise<string> {
	const file = await open(path, 'r');
	try {
		const { size } = await file.stat();
		if (size > MAX_FILE) throw new Error(`${path}: larger than 1 MiB`);
		return await file.readFile('utf8');
	} finally {
		await file.close();
	}
}
