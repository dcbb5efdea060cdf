import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { PolicyConfig } from '../../src/config/schema.ts';
import type { AgentPolicy } from '../../src/model/ports.ts';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import type { Bundle } from '../../src/policy/bundle.ts';
import { compile } from '../../src/policy/compile.ts';
import { findOpa, type Opa } from '../../src/policy/opa.ts';
import { agentPolicy, type LoadedBundle, loadBundle } from '../../src/policy/set.ts';

export const MEMORY = 64 * 1024 * 1024;

export const theOpa = (): Promise<Opa> => findOpa(undefined, process.env);

/** A folder of its own for one test, gone afterwards. */
export async function folder(t: TestContext, files: Readonly<Record<string, string | Buffer>> = {}): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	await write(path, files);
	return path;
}

export async function write(root: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
	for (const [name, text] of Object.entries(files)) {
		const path = join(root, name);
		await mkdir(dirname(path), { recursive: true });
		await writeFile(path, text);
	}
}

/** For inputs that show what the engine does, and that no call has. */
export const ANY_INPUT = new URL('any-schema.json', import.meta.url).pathname;

/** Compiled whatever it reads of the input. */
export const compileAny = (opa: Opa, roots: readonly string[], revision?: string): Promise<Bundle> =>
	compile(opa, roots, revision, ANY_INPUT);

/** Files compiled and loaded as one bundle. */
export async function loaded(
	t: TestContext,
	files: Readonly<Record<string, string>>,
	name = 'default',
): Promise<LoadedBundle> {
	const root = await folder(t, files);
	return await loadBundle(name, await compileAny(await theOpa(), [root]), root, { memory: MEMORY, builtins: BUILTINS });
}

/** One Rego module that judges `request`, without its package line, and others beside it. */
export async function requestPolicy(
	t: TestContext,
	rego: string,
	others: Readonly<Record<string, string>> = {},
): Promise<AgentPolicy> {
	const files = { ...others, 'request.rego': `package sallyport.request\n\n${rego}\n` };
	return agentPolicy([await loaded(t, files)]);
}

export const policyConfig = (fields: Partial<PolicyConfig> & { readonly keep: string }): PolicyConfig => ({
	mode: 'enforce',
	memory: MEMORY,
	fuel: 1_000_000,
	...fields,
});

export const clock = { now: () => Date.now() };
