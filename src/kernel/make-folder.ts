import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it that are missing. Throws as mkdir(2) says. Node's own `recursive` goes round and
 * round where a file system has no such folder and makes none, as /proc.
 */
export function makeFolder(path: string): void {
	try {
		mkdirSync(path);
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		if (code === 'EEXIST' && statSync(path).isDirectory()) return;
		const above = dirname(path);
		if (code !== 'ENOENT' || existsSync(above)) throw error;
		makeFolder(above);
		mkdirSync(path);
	}
}
