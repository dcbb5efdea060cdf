import { type FSWatcher, watch } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/**
 * Says when files may have changed. The system's notifications make it quick; a slow comparison of what the files
 * look like catches what they miss (network file systems, a link somewhere up the path).
 */

/** Editors and `kubectl` write in several steps; a change is taken when they have been quiet for this long. */
const QUIET = 60;
/** But no longer than this, in folders that are never quiet. */
const LONGEST_WAIT = 300;
const COMPARE_EVERY = 2_000;
const MAX_WATCHED = 10_000;

export interface Watch {
	close(): void;
}

/**
 * Calls `changed` after anything below `paths` looks different from how it looked when the promise was made.
 * Symbolic links are followed, and watched themselves.
 */
export async function watchFiles(paths: readonly string[], changed: () => void): Promise<Watch> {
	let closed = false;
	let look: string | undefined;
	let quiet: NodeJS.Timeout | undefined;
	let waitingSince: number | undefined;
	let comparing = false;
	let again = false;
	const watchers = new Map<string, FSWatcher>();

	const compare = async (): Promise<void> => {
		if (comparing) {
			again = true;
			return;
		}
		comparing = true;
		try {
			do {
				again = false;
				const found = await survey(paths);
				if (closed) return;
				follow(found.folders);
				const before = look;
				look = found.look;
				if (before !== undefined && before !== look) changed();
			} while (again && !closed);
		} finally {
			comparing = false;
		}
	};
	const soon = (): void => {
		if (closed) return;
		const now = performance.now();
		waitingSince ??= now;
		clearTimeout(quiet);
		const wait = Math.max(0, Math.min(QUIET, waitingSince + LONGEST_WAIT - now));
		quiet = setTimeout(() => {
			waitingSince = undefined;
			void compare();
		}, wait);
	};
	const follow = (folders: ReadonlySet<string>): void => {
		for (const [folder, watcher] of watchers) {
			if (folders.has(folder)) continue;
			watcher.close();
			watchers.delete(folder);
		}
		for (const folder of folders) {
			if (watchers.has(folder)) continue;
			try {
				const watcher = watch(folder, { persistent: false }, soon);
				watcher.on('error', () => {
					watcher.close();
					watchers.delete(folder);
				});
				watchers.set(folder, watcher);
			} catch {
				// Gone, or no watches left: the comparison goes on.
			}
		}
	};

	const interval = setInterval(() => void compare(), COMPARE_EVERY);
	interval.unref();
	await compare();
	return {
		close: () => {
			closed = true;
			clearTimeout(quiet);
			clearInterval(interval);
			for (const watcher of watchers.values()) watcher.close();
			watchers.clear();
		},
	};
}

/** What everything below the paths looks like, and which folders tell of changes. */
async function survey(
	paths: readonly string[],
): Promise<{ readonly look: string; readonly folders: ReadonlySet<string> }> {
	const folders = new Set<string>();
	const looks: string[] = [];
	const visit = async (path: string, depth: number): Promise<void> => {
		if (looks.length >= MAX_WATCHED || depth > 32) return;
		try {
			const link = await lstat(path, { bigint: true });
			if (link.isSymbolicLink()) {
				const to = await readlink(path);
				looks.push(`${path} -> ${to}`);
				folders.add(dirname(resolve(dirname(path), to)));
			}
			const entry = await stat(path, { bigint: true });
			if (!entry.isDirectory()) {
				looks.push(`${path} ${entry.ino} ${entry.size} ${entry.mtimeNs}`);
				return;
			}
			looks.push(path);
			folders.add(path);
			for (const name of (await readdir(path)).sort())
				if (!name.startsWith('.')) await visit(join(path, name), depth + 1);
		} catch {
			looks.push(`${path} missing`);
		}
	};
	for (const path of paths) {
		folders.add(dirname(path));
		await visit(path, 0);
	}
	return { look: looks.join('\n'), folders };
}
