import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Threads of this process that work beside the one that serves: on processors that have too much to do, calls go first. */

const TASKS = '/proc/self/task';

/**
 * Does what starts a thread, and lowers the thread's priority to a nice value of 0 to 19, which in Linux is each thread's
 * own (setpriority(2), "Notes"). Where that cannot be had, it keeps its share.
 */
export function startLow<T>(nice: number, start: () => T): T {
	const before = new Set(threads());
	const started = start();
	lower(
		threads().filter(thread => !before.has(thread)),
		nice,
	);
	return started;
}

/** The same for threads that are there, by the name that they have (`/proc/self/task/TID/comm`). */
export function lowerByName(name: string, nice: number): void {
	lower(
		threads().filter(thread => nameOf(thread) === name),
		nice,
	);
}

function threads(): readonly string[] {
	try {
		return readdirSync(TASKS);
	} catch {
		return [];
	}
}

function nameOf(thread: string): string | undefined {
	try {
		return readFileSync(`${TASKS}/${thread}/comm`, 'latin1').trim();
	} catch {
		return undefined;
	}
}

function lower(found: readonly string[], nice: number): void {
	for (const thread of found) {
		try {
			setPriority(Number(thread), nice);
		} catch {
			// It has ended, or may not be changed.
		}
	}
}
