import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { segmentFirst } from './segment.ts';

/** How far below a folder chains are looked for. */
const DEEPEST = 4;
const MOST = 10_000;

/**
 * The folders with segments: the folder itself, or those below it when it has none, as a volume has that many Sallyports
 * keep their chains on. Rejects when the folder cannot be read, and when there are more than 10,000.
 */
export async function chainsOf(directory: string): Promise<readonly string[]> {
	const found: string[] = [];
	await look(directory, 0, found);
	return found;
}

async function look(directory: string, depth: number, found: string[]): Promise<void> {
	const entries = await readdir(directory, { withFileTypes: true });
	if (entries.some(({ name }) => segmentFirst(name) !== undefined)) {
		if (found.push(directory) > MOST) throw new Error(`there are more than ${MOST} chains: name a folder below`);
		return;
	}
	if (depth === DEEPEST) return;
	for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
		const path = join(directory, entry.name);
		if (!entry.isDirectory() && !(entry.isSymbolicLink() && (await isFolder(path)))) continue;
		try {
			await look(path, depth + 1, found);
		} catch (error) {
			// A Sallyport that goes may take its folder with it.
			if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
		}
	}
}

async function isFolder(path: string): Promise<boolean> {
	try {
		return (await stat(path)).isDirectory();
	} catch {
		return false;
	}
}
