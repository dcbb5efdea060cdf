import { type FSWatcher, watch } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
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

export interface WatchTimes {
	/** Milliseconds of quiet after a change before it is looked at. */
	readonly debounce: number;
	/** Milliseconds between looks when nothing is heard of. */
	readonly poll: number;
}

export const WATCH_TIMES: WatchTimes = { debounce: 100, poll: 5_000 };

/**
 * Calls `look` when one of the files may have changed, in whatever way: written in place, renamed over, or behind a
 * symbolic link that was swapped (Kubernetes swaps `..data`). Folders are watched, not files, and since no watch hears
 * of everything (network file systems, links further up) a look is taken now and then anyway. Looks never overlap.
 * Returns a function that ends it; after it no look begins.
 */
export function watchFiles(paths: readonly string[], times: WatchTimes, look: () => Promise<void>): () => void {
	const watchers = new Map<string, FSWatcher>();
	let debounce: NodeJS.Timeout | undefined;
	let running = false;
	let again = false;
	let ended = false;

	const run = (): void => {
		if (ended) return;
		if (running) {
			again = true;
			return;
		}
		running = true;
		again = false;
		void settle().finally(() => {
			running = false;
			if (again) run();
		});
	};
	const settle = async (): Promise<void> => {
		// Watch first, look then: what changes in between is heard of.
		await follow().catch(() => {});
		if (!ended) await look();
	};
	const heard = (): void => {
		if (debounce !== undefined) clearTimeout(debounce);
		debounce = setTimeout(run, times.debounce);
	};
	const follow = async (): Promise<void> => {
		const folders = new Set<string>();
		for (const path of paths) {
			folders.add(dirname(path));
			folders.add(dirname(await realpath(path).catch(() => path)));
		}
		for (const [folder, watcher] of watchers) {
			if (folders.has(folder)) continue;
			watcher.close();
			watchers.delete(folder);
		}
		for (const folder of folders) {
			if (ended || watchers.has(folder)) continue;
			try {
				const watcher = watch(folder, { persistent: false }, heard);
				watcher.on('error', () => {
					watcher.close();
					watchers.delete(folder);
				});
				watchers.set(folder, watcher);
			} catch {
				// Not there now; the poll looks again.
			}
		}
	};

	const poll = setInterval(run, times.poll);
	poll.unref();
	run();
	return () => {
		ended = true;
		clearInterval(poll);
		if (debounce !== undefined) clearTimeout(debounce);
		for (const watcher of watchers.values()) watcher.close();
		watchers.clear();
	};
}
