import { mkdir, readdir, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bundle, readBundle } from './bundle.ts';

/**
 * Keeps every activated bundle, so that what a record says can be evaluated again. A kept file's modification time is
 * when its bundle was last in force; records that are older than every such time name no file that was removed.
 */

/** Records are written a little after the evaluation, and a crash loses the last mark. */
const SLACK = 24 * 3600_000;

const isHash = (revision: string): boolean => /^[0-9a-f]{64}$/.test(revision);

/** A revision as it stands in a file's name. */
const fileRevision = (revision: string): string =>
	isHash(revision) ? revision : revision.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 64);

/** Kept bundles of that name and revision; more than one where the revision is a name that was given again. */
export async function findKept(folder: string, name: string, revision: string): Promise<readonly string[]> {
	const begin = `${name}-${fileRevision(revision)}`;
	const rest = isHash(revision) ? /^\.tar\.gz$/ : /^-[0-9a-f]{16}\.tar\.gz$/;
	const names = await readdir(folder).catch(() => []);
	return names
		.filter(file => file.startsWith(begin) && rest.test(file.slice(begin.length)))
		.map(file => join(folder, file));
}

/** What is kept of a bundle. */
type Keepable = Pick<Bundle, 'revision' | 'archive' | 'digest'>;

export class BundleKeep {
	readonly #folder: string;

	constructor(folder: string) {
		this.#folder = folder;
	}

	/** Where a bundle is kept: by revision, and by content when somebody gave the revision a name. */
	pathOf(name: string, { revision, digest }: Keepable): string {
		const begin = `${name}-${fileRevision(revision)}`;
		return join(this.#folder, `${begin}${isHash(revision) ? '' : `-${digest.slice(0, 16)}`}.tar.gz`);
	}

	/**
	 * The kept bundles of a revision, last in force first. There are several only when somebody gave different bundles the
	 * same name for a revision.
	 */
	async find(name: string, revision: string): Promise<readonly Bundle[]> {
		const found: { readonly bundle: Bundle; readonly used: number }[] = [];
		for (const path of await findKept(this.#folder, name, revision)) {
			const bundle = await readBundle(await readFile(path), path);
			if (bundle.revision === revision) found.push({ bundle, used: (await stat(path)).mtimeMs });
		}
		return found.toSorted((a, b) => b.used - a.used).map(({ bundle }) => bundle);
	}

	/** Writes the bundle if it is not there, and marks it as in force now. */
	async keep(name: string, bundle: Keepable, now: number): Promise<string> {
		const path = this.pathOf(name, bundle);
		await mkdir(this.#folder, { recursive: true, mode: 0o700 });
		try {
			await utimes(path, now / 1000, now / 1000);
			return path;
		} catch {
			// Not there yet.
		}
		const half = `${path}.${process.pid}.part`;
		await writeFile(half, bundle.archive, { mode: 0o600 });
		await utimes(half, now / 1000, now / 1000);
		await rename(half, path);
		return path;
	}

	/** Removes what was last in force before `oldestRecord` (milliseconds since the epoch), but not `inForce`. Answers the names. */
	async prune(oldestRecord: number, inForce: ReadonlySet<string>): Promise<readonly string[]> {
		const removed: string[] = [];
		for (const name of await readdir(this.#folder).catch(() => [])) {
			const path = join(this.#folder, name);
			if (!/\.tar\.gz(\.\d+\.part)?$/.test(name) || inForce.has(path)) continue;
			if ((await stat(path)).mtimeMs >= oldestRecord - SLACK) continue;
			await unlink(path);
			removed.push(name);
		}
		return removed;
	}
}
