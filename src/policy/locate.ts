import { readFile, stat } from 'node:fs/promises';
import type { BundleVerify, PolicyBundleConfig } from '../config/policy-bundle.ts';
import type { PolicyConfig } from '../config/schema.ts';
import { type Bundle, readBundle } from './bundle.ts';
import type { Opa } from './opa.ts';
import { problem } from './problem.ts';
import { type BundleFiles, readVerifyKey, type VerifyRules } from './signature.ts';
import { NOT_THERE } from './sources.ts';

/** Which bundles the configuration names, and reading one, compiled or not. */

export interface BundleConfig {
	readonly name: string;
	/** Empty for what comes from a server. */
	readonly paths: readonly string[];
	readonly agents: readonly string[] | undefined;
	/** It is only tried. */
	readonly shadow: boolean;
	readonly verify?: BundleVerify | undefined;
	readonly remote?: RemoteConfig;
}

/** What is said of a server, beside the name of the bundle. */
export type RemoteConfig = Omit<
	PolicyBundleConfig,
	'name' | 'path' | 'files' | 'agents' | 'verify' | 'url' | 'shadow'
> & {
	readonly url: string;
};

/** Throws PolicyError on a configuration that contradicts itself. */
export function bundleConfigs(config: PolicyConfig): readonly BundleConfig[] {
	const { files, bundles } = config;
	if (files !== undefined && bundles !== undefined)
		throw problem('policy has both `files` and `bundles`: `files` is the shorthand for one bundle');
	if (files !== undefined) return [{ name: 'default', paths: files, agents: undefined, shadow: false }];
	if (bundles === undefined) throw problem('policy names neither `files` nor `bundles`');
	const names = new Set<string>();
	return bundles.map(({ name, path, files: roots, agents, verify, url, shadow = false, ...server }) => {
		if (names.has(name)) throw problem(`policy has two bundles named ${name}`);
		names.add(name);
		if ([path, roots, url].filter(source => source !== undefined).length !== 1)
			throw problem(`bundle ${name} needs either \`path\`, \`files\` or \`url\``);
		return {
			name,
			paths: roots ?? (path === undefined ? [] : [path]),
			agents,
			shadow,
			verify,
			...(url === undefined ? {} : { remote: { url, ...server } }),
		};
	});
}

/** The files or the URL that a bundle comes from. */
export const sourcesOf = ({ paths, remote }: BundleConfig): readonly string[] =>
	remote === undefined ? paths : [remote.url];

/** One compiled bundle, or folders and files that are compiled. Rejects with PolicyError. `judge` as of `readBundle`. */
export async function readAny(
	paths: readonly string[],
	opa: () => Promise<Opa>,
	judge?: (files: BundleFiles) => string | undefined,
): Promise<Bundle> {
	const [path] = paths;
	if (paths.length === 1 && path !== undefined && (await isArchive(path)))
		return await readBundle(await readArchive(path), path, judge);
	for (const archive of paths)
		if (await isArchive(archive)) throw problem('one compiled bundle at a time, and no sources beside it', archive);
	// Loaded where there are sources: it takes a YAML reader along.
	const { compile } = await import('./compile.ts');
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

/** The keys that `verify` names, read now: they may have been exchanged. Rejects with PolicyError. */
export async function verifyRules(verify: BundleVerify | undefined): Promise<VerifyRules | undefined> {
	if (verify === undefined) return undefined;
	const { key, algorithm, keys = {}, scope } = verify;
	const named = Object.entries(keys).map(([id, entry]) => ({ id, ...entry }));
	const all = key === undefined ? named : [{ id: undefined, key, algorithm }, ...named];
	const read = all.map(async ({ id, key: file, algorithm }) => {
		const pem = (await readArchive(file)).toString('utf8');
		try {
			return readVerifyKey(pem, algorithm, id);
		} catch (error) {
			throw problem(error instanceof Error ? error.message : 'unreadable', file);
		}
	});
	return { keys: await Promise.all(read), scope };
}
