import { readFile, stat } from 'node:fs/promises';
import type { PolicyConfig } from '../config/schema.ts';
import { type Bundle, readBundle } from './bundle.ts';
import { compile } from './compile.ts';
import type { Opa } from './opa.ts';
import { problem } from './problem.ts';
import { NOT_THERE } from './sources.ts';

/** Which bundles the configuration names, and reading one, compiled or not. */

export interface BundleConfig {
	readonly name: string;
	readonly paths: readonly string[];
	readonly agents: readonly string[] | undefined;
}

/** Throws PolicyError on a configuration that contradicts itself. */
export function bundleConfigs(config: PolicyConfig): readonly BundleConfig[] {
	const { files, bundles } = config;
	if (files !== undefined && bundles !== undefined)
		throw problem('policy has both `files` and `bundles`: `files` is the shorthand for one bundle');
	if (files !== undefined) return [{ name: 'default', paths: files, agents: undefined }];
	if (bundles === undefined) throw problem('policy names neither `files` nor `bundles`');
	const names = new Set<string>();
	return bundles.map(({ name, path, files: roots, agents }) => {
		if (names.has(name)) throw problem(`policy has two bundles named ${name}`);
		names.add(name);
		if ((path === undefined) === (roots === undefined))
			throw problem(`bundle ${name} needs either \`path\` or \`files\``);
		return { name, paths: roots ?? (path === undefined ? [] : [path]), agents };
	});
}

/** One compiled bundle, or folders and files that are compiled. Rejects with PolicyError. */
export async function readAny(paths: readonly string[], opa: () => Promise<Opa>): Promise<Bundle> {
	const [path] = paths;
	if (paths.length === 1 && path !== undefined && (await isArchive(path)))
		return await readBundle(await readArchive(path), path);
	for (const archive of paths)
		if (await isArchive(archive)) throw problem('one compiled bundle at a time, and no sources beside it', archive);
	return await compile(await opa(), paths);
}

export const isArchive = async (path: string): Promise<boolean> =>
	/\.(tar\.gz|tgz)$/.test(path) &&
	!(await stat(path).then(
		entry => entry.isDirectory(),
		() => false,
	));

/** Rejects with PolicyError. */
export async function readArchive(path: string): Promise<Buffer> {
	try {
		return await readFile(path);
	} catch (error) {
		const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
		throw problem(code === 'ENOENT' ? NOT_THERE : `cannot be read: ${code}`, path);
	}
}
