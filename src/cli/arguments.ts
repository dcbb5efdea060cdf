import { readFileSync } from 'node:fs';
import { duration } from '../config/values.ts';
import { mistake } from './terminal.ts';

/** A file that an option names. Fails in words. */
export function contents(option: string, file: string): Buffer {
	try {
		return readFileSync(file);
	} catch (error) {
		const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
		throw mistake(`${option}: ${file} cannot be read (${code})`);
	}
}

/** What `--for` says, milliseconds. Fails in words. */
export function lasting(text: string): number {
	const read = duration.safeParse(text);
	if (!read.success || read.data === 0) throw mistake('--for: expected a duration such as 30m, 24h or 7d');
	return read.data;
}
