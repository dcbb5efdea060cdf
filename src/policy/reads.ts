import type { Reads } from '../model/call.ts';

/** Which paths below `input` policy reads, from `opa deps`. */

interface Node {
	/** Everything below may be read. */
	whole: boolean;
	readonly children: Map<string, Node>;
}

const node = (): Node => ({ whole: false, children: new Map() });

class PathReads implements Reads {
	readonly paths: readonly string[];
	readonly #root: Node;

	constructor(paths: readonly (readonly string[])[]) {
		const root = node();
		for (const path of paths) {
			let here = root;
			for (const key of path) {
				let next = here.children.get(key);
				if (next === undefined) {
					next = node();
					here.children.set(key, next);
				}
				here = next;
			}
			here.whole = true;
		}
		this.#root = root;
		this.paths = printed(root);
	}

	has(...path: readonly string[]): boolean {
		const here = this.#reach(path);
		return here !== undefined && (here.whole || here.children.size > 0);
	}

	all(...path: readonly string[]): boolean {
		return this.#reach(path)?.whole === true;
	}

	/** Where a path ends, or the first whole that contains it; undefined when nothing there is read. */
	#reach(path: readonly string[]): Node | undefined {
		let here = this.#root;
		for (const key of path) {
			if (here.whole) return here;
			const next = here.children.get(key);
			if (next === undefined) return undefined;
			here = next;
		}
		return here;
	}
}

/** Sorted; a path inside another that is read whole is left out. */
function printed(root: Node): readonly string[] {
	const found: string[] = [];
	const walk = (here: Node, prefix: string): void => {
		if (here.whole) {
			found.push(prefix === '' ? '*' : prefix);
			return;
		}
		for (const [key, next] of here.children) {
			const step = /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? key : `["${key.replace(/["\\]/g, '\\$&')}"]`;
			walk(next, prefix === '' || step.startsWith('[') ? prefix + step : `${prefix}.${step}`);
		}
	};
	walk(root, '');
	return Object.freeze(found.sort());
}

/** The keys of a path as records and `policy check` print it. */
export function parsePath(text: string): readonly string[] {
	if (text === '*') return [];
	return [...text.matchAll(/\["((?:[^"\\]|\\.)*)"\]|[A-Za-z_][A-Za-z0-9_]*/g)].map(([word, quoted]) =>
		quoted === undefined ? word : quoted.replace(/\\(["\\])/g, '$1'),
	);
}

/** Paths as keys below `input`; an empty path is the whole input. */
export const readsOf = (paths: readonly (readonly string[])[]): Reads => Object.freeze(new PathReads(paths));

/** For policy whose reads are not known: everything is built. */
export const EVERYTHING: Reads = Object.freeze({ has: () => true, all: () => true, paths: undefined });

/**
 * Whether a call whose `path` cannot be given whole must be refused with `body_unreadable`: policy reads it, and does
 * not read `http.body_state`, by which it would notice. Where the reads are unknown, nobody says that policy noticed.
 */
export const mustRefuseUnreadable = (reads: Reads, ...path: readonly string[]): boolean =>
	reads.has(...path) && (reads.paths === undefined || !readsBodyState(reads));

/** Reading `http` as a whole names no key: such a policy is not known to look at `http.body_state`. */
const readsBodyState = (reads: Reads): boolean => reads.has('http', 'body_state') && !reads.all('http');
