import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, posix } from 'node:path';
import { problem } from './problem.ts';

/** Gathers Rego and data from folders and files, as `opa build -b` understands them, and lays them out for it. */

/** Of a path that is not there. */
export const NOT_THERE = 'cannot be read: there is no such file or folder (ENOENT)';

const MAX_FILES = 10_000;
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_DEPTH = 32;

export interface SourceFile {
	/** As its author knows it. */
	readonly path: string;
	/** From the root of the bundle, with slashes: where data lies in it is decided by the folder. */
	readonly relative: string;
	readonly kind: 'rego' | 'test' | 'data';
	readonly bytes: Buffer;
	/** Where it stands in the staging folder. */
	readonly staged: string;
}

export interface Sources {
	readonly files: readonly SourceFile[];
	/** SHA-256 of Rego and data, tests left out. */
	readonly revision: string;
}

export const kindOf = (name: string): SourceFile['kind'] | undefined => {
	if (name.endsWith('_test.rego')) return 'test';
	if (name.endsWith('.rego')) return 'rego';
	return name === 'data.json' || name === 'data.yaml' || name === 'data.yml' ? 'data' : undefined;
};

/** Follows symbolic links. Names that begin with a dot are skipped: among them Kubernetes' `..data` folders. Rejects with PolicyError. */
export async function gather(roots: readonly string[]): Promise<Sources> {
	const files: SourceFile[] = [];
	let bytes = 0;
	const take = async (path: string, relative: string, root: number, size: number): Promise<void> => {
		const kind = kindOf(basename(path));
		if (kind === undefined) return;
		bytes += size;
		if (files.length >= MAX_FILES || bytes > MAX_BYTES)
			throw problem(`the policy has more than ${MAX_FILES} files or ${MAX_BYTES} bytes`, path);
		// Rego may lie anywhere, so roots are kept apart; the folder of data is its path in the data document.
		const staged = kind === 'data' ? relative : posix.join(`source-${root}`, relative);
		const twin = files.find(
			file => file.kind === 'data' && kind === 'data' && posix.dirname(file.staged) === posix.dirname(staged),
		);
		if (twin !== undefined)
			throw problem(`data for the same folder stands in ${twin.path} too: make it one file, or two bundles`, path);
		files.push({ path, relative, kind, bytes: await readFile(path), staged });
	};
	const walk = async (folder: string, relative: string, root: number, depth: number): Promise<void> => {
		if (depth > MAX_DEPTH) throw problem('folders are nested too deeply, or a symbolic link leads back', folder);
		const names = (await readdir(folder)).filter(name => !name.startsWith('.')).sort();
		for (const name of names) {
			const path = join(folder, name);
			const entry = await stat(path);
			if (entry.isDirectory()) await walk(path, posix.join(relative, name), root, depth + 1);
			else if (entry.isFile()) await take(path, posix.join(relative, name), root, entry.size);
		}
	};
	for (const [index, root] of roots.entries()) {
		try {
			const entry = await stat(root);
			if (entry.isDirectory()) await walk(root, '', index, 0);
			else if (kindOf(basename(root)) === undefined)
				throw problem('neither Rego (*.rego) nor data (data.json, data.yaml)', root);
			else await take(root, basename(root), index, entry.size);
		} catch (error) {
			if (error instanceof Error && 'code' in error)
				throw problem(error.code === 'ENOENT' ? NOT_THERE : `cannot be read: ${String(error.code)}`, root);
			throw error;
		}
	}
	if (!files.some(file => file.kind === 'rego')) throw problem(`there is no Rego (*.rego) in ${roots.join(', ')}`);
	return { files, revision: revisionOf(files) };
}

function revisionOf(files: readonly SourceFile[]): string {
	const hash = createHash('sha256');
	const counted = files.filter(file => file.kind !== 'test');
	for (const file of counted.toSorted((a, b) => (a.staged < b.staged ? -1 : 1))) {
		hash.update(`${file.staged.length}:${file.staged}:${file.bytes.length}:`);
		hash.update(file.bytes);
	}
	return hash.digest('hex');
}

/** Writes the files below `folder`, a new and private one. */
export async function stage(sources: readonly SourceFile[], folder: string): Promise<void> {
	for (const file of sources) await stageText(folder, file.staged, file.bytes);
}

/** A private folder with the files in it, gone afterwards. */
export async function withStage<T>(files: readonly SourceFile[], use: (folder: string) => Promise<T>): Promise<T> {
	const folder = await mkdtemp(join(tmpdir(), 'sallyport-policy-'));
	try {
		await stage(files, folder);
		return await use(folder);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

export async function stageText(folder: string, staged: string, text: string | Buffer): Promise<void> {
	const path = join(folder, staged);
	await mkdir(dirname(path), { recursive: true });
	await writeFile(path, text, { mode: 0o600 });
}
