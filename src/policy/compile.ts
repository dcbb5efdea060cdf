import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { PolicyPath } from '../model/call.ts';
import { annotate, type Bundle, type ReadPaths, readBundle } from './bundle.ts';
import {
	contractEntrypoint,
	contractModule,
	contractProblems,
	definedRules,
	packageName,
	parseModules,
	throwProblems,
} from './contract-module.ts';
import { checkInput, INPUT_SCHEMA } from './input-check.ts';
import type { Opa } from './opa.ts';
import { check, problemsIn } from './opa-check.ts';
import { PolicyError, problem, problemsOf } from './problem.ts';
import { gather, type SourceFile, type Sources, stageText, withStage } from './sources.ts';

/**
 * Rego and data to a bundle, by `opa build`. Its optimizer (`-O`) is left off: measured, it makes these modules no
 * faster, since partial evaluation knows neither input nor, here, what data will be looked up.
 */

/** Where our own Rego stands in the staging folder. */
const OURS = 'sallyport-contract';

/**
 * Rejects with PolicyError; files and lines are the author's. `revision` overrides the one made from the sources;
 * `schema` is the file of the JSON Schema that references to the input are checked against.
 */
export async function compile(
	opa: Opa,
	roots: readonly string[],
	revision?: string,
	schema: string = INPUT_SCHEMA,
): Promise<Bundle> {
	return await compileSources(opa, await gather(roots), revision, schema);
}

export async function compileSources(
	opa: Opa,
	sources: Sources,
	revision?: string,
	schema: string = INPUT_SCHEMA,
): Promise<Bundle> {
	const files = sources.files.filter(file => file.kind !== 'test');
	refuseOwnFolders(files);
	const modules = await parseModules(opa, files);
	throwProblems(contractProblems(modules));
	const defined = definedRules(modules);
	return await withStage(files, async folder => {
		for (const [path, rules] of defined)
			await stageText(folder, posix.join(OURS, `${path}.rego`), contractModule(path, rules));
		if (defined.size === 0) {
			// Nothing to build; but if it does not even compile, that is what its author wants to know first.
			await check(opa, files, folder);
			throw problem('no package judges anything: define `package sallyport.request` or `package sallyport.connect`');
		}
		const asked = [...defined.keys()];
		const output = join(folder, 'bundle.tar.gz');
		const entrypoints = asked.flatMap(path => ['-e', contractEntrypoint(path)]);
		const [unknown, built, ...reads] = await Promise.all([
			// Not thrown before the others are done with the folder.
			checkInput(opa, files, modules, schema).then(
				() => undefined,
				(error: unknown) => problemsOf(error),
			),
			opa.run(['build', '-b', '.', '-t', 'wasm', '-o', output, ...entrypoints], { cwd: folder }),
			...asked.map(path => readPaths(opa, folder, path)),
		]);
		if (unknown !== undefined) throw new PolicyError(unknown);
		if (built.status !== 0) {
			await check(opa, files, folder);
			throw new PolicyError(problemsIn(built.stderr, files));
		}
		const known: ReadPaths = Object.fromEntries(asked.map((path, index) => [path, reads[index] ?? []]));
		const archive = await annotate(await readFile(output), revision ?? sources.revision, known);
		return await readBundle(archive, sources.files[0]?.path ?? '');
	});
}

function refuseOwnFolders(files: readonly SourceFile[]): void {
	for (const file of files) {
		if (file.kind === 'data' && file.relative.split('/')[0] === 'sallyport') {
			throw problem('there is data under `sallyport`: only rules may stand there, or data could allow', file.path);
		}
	}
}

interface Term {
	readonly type: string;
	readonly value: unknown;
}

/** Which paths below `input` a package reads, by `opa deps`. */
async function readPaths(opa: Opa, folder: string, path: PolicyPath): Promise<readonly (readonly string[])[]> {
	const query = `data.${packageName(path)}`;
	const { status, stdout } = await opa.run(['deps', '-b', '.', '--format', 'json', query], { cwd: folder });
	// A policy that does not compile is reported by the build. For one that does, silence means: everything.
	if (status !== 0) return [[]];
	const { base = [] } = JSON.parse(stdout) as { readonly base?: readonly (readonly Term[])[] };
	const paths: (readonly string[])[] = [];
	for (const [head, ...rest] of base) {
		if (head?.value !== 'input') continue;
		// A position in a list, or a variable, ends what is known: everything below may be read.
		const end = rest.findIndex(term => term.type !== 'string');
		paths.push((end < 0 ? rest : rest.slice(0, end)).map(term => String(term.value)));
	}
	return paths;
}
