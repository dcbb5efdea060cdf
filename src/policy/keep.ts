import { mkdir, readdir, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bundle, readBundle, sha256 } from './bundle.ts';

/**
 * Keeps every activated bundle, so that what a record says can be evaluated again. A kept file's modification time is
 * when its bundle was last in force; records that are older than every such time name no file that was removed.
 */

/** Records are written a little after the evaluation, and a crash loses the last mark. */
const SLACK = 24 * 3600_000;

/** A revision as it can stand in the name of a file. */
const plainRevision = (revision: string): string => revision.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 64);

export class BundleKeep {
	readonly #folder: string;

	constructor(folder: string) {
		this.#folder = folder;
	}

	/** Where a bundle is kept: by revision, and by content when somebody gave the revision a name. */
	pathOf(name: string, bundle: Bundle): string {
		const content = sha256(bundle.archive);
		const revision = /^[0-9a-f]{64}$/.test(bundle.revision)
			? bundle.revision
			: `${plainRevision(bundle.revision)}-${content.slice(0, 16)}`;
		return join(this.#folder, `${name}-${revision}.tar.gz`);
	}

	/**
	 * The kept bundles of a revision, last in force first. There are several only when somebody gave different bundles the
	 * same name for a revision.
	 */
	async find(name: string, revision: string): Promise<readonly Bundle[]> {
		const start = `${name}-${plainRevision(revision)}`;
		const found: { readonly bundle: Bundle; readonly used: number }[] = [];
		for (const file of await readdir(this.#folder).catch(() => [])) {
			if (!file.startsWith(start) || !/^(-[0-9a-f]{16})?\.tar\.gz$/.test(file.slice(start.length))) continue;
			const path = join(this.#folder, file);
			const bundle = await readBundle(await readFile(path), path);
			if (bundle.revision === revision) found.push({ bundle, used: (await stat(path)).mtimeMs });
		}
		return found.toSorted((a, b) => b.used - a.used).map(({ bundle }) => bundle);
	}

	/** Writes the bundle if it is not there, and marks it as in force now. */
	async keep(name: string, bundle: Bundle, now: number): Promise<string> {
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
