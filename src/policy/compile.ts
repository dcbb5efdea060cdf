import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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
import type { Opa } from './opa.ts';
import { PolicyError, type Problem, problem } from './problem.ts';
import { gather, type SourceFile, type Sources, stage, stageText } from './sources.ts';

/**
 * Rego and data to a bundle, by `opa build`. Its optimizer (`-O`) is left off: measured, it makes these modules no
 * faster, since partial evaluation knows neither input nor, here, what data will be looked up.
 */

/** Where our own Rego stands in the staging folder. */
const OURS = 'sallyport-contract';

/** Rejects with PolicyError; files and lines are the author's. `revision` overrides the one made from the sources. */
export async function compile(opa: Opa, roots: readonly string[], revision?: string): Promise<Bundle> {
	return await compileSources(opa, await gather(roots), revision);
}

export async function compileSources(opa: Opa, sources: Sources, revision?: string): Promise<Bundle> {
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
		const [built, ...reads] = await Promise.all([
			opa.run(['build', '-b', '.', '-t', 'wasm', '-o', output, ...entrypoints], { cwd: folder }),
			...asked.map(path => readPaths(opa, folder, path)),
		]);
		if (built.status !== 0) {
			await check(opa, files, folder);
			throw new PolicyError(problemsIn(built.stderr, files));
		}
		const known: ReadPaths = Object.fromEntries(asked.map((path, index) => [path, reads[index] ?? []]));
		const archive = await annotate(await readFile(output), revision ?? sources.revision, known);
		return await readBundle(archive, sources.files[0]?.path ?? '');
	});
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

function refuseOwnFolders(files: readonly SourceFile[]): void {
	for (const file of files) {
		if (file.kind === 'data' && file.relative.split('/')[0] === 'sallyport') {
			throw problem('there is data under `sallyport`: only rules may stand there, or data could allow', file.path);
		}
	}
}

interface Checked {
	readonly errors?: readonly {
		readonly message: string;
		readonly location?: { readonly file?: string; readonly row?: number };
	}[];
}

/** Throws what `opa check` finds wrong; its errors come with file and line. */
export async function check(
	opa: Opa,
	files: readonly SourceFile[],
	folder: string,
	more: readonly string[] = [],
): Promise<void> {
	const { status, stdout, stderr } = await opa.run(['check', '-b', '.', '--format', 'json', ...more], { cwd: folder });
	if (status === 0) return;
	let errors: Checked['errors'];
	try {
		errors = (JSON.parse(stderr.startsWith('{') ? stderr : stdout) as Checked).errors;
	} catch {
		errors = undefined;
	}
	if (errors === undefined || errors.length === 0) throw new PolicyError(problemsIn(stderr, files));
	throw new PolicyError(
		errors.map(({ message, location }) => {
			const file = location?.file === undefined ? undefined : original(location.file, files);
			return {
				message,
				...(file === undefined ? {} : { file }),
				...(location?.row === undefined ? {} : { line: location.row }),
			};
		}),
	);
}

/** Problems in what `opa` prints: lines such as `error: … FILE:LINE: CODE: MESSAGE`. */
function problemsIn(output: string, files: readonly SourceFile[]): readonly Problem[] {
	const found: Problem[] = [];
	for (const line of output.split('\n')) {
		const match = /(?:^|\s)([^\s:]+\.(?:rego|json|ya?ml)):(\d+): (?:\w+_error: )?(.+)$/.exec(line);
		if (match !== null)
			found.push({ file: original(match[1] ?? '', files), line: Number(match[2]), message: match[3] ?? '' });
	}
	if (found.length > 0) return found;
	let text = output.trim();
	for (const file of files) text = text.replaceAll(file.staged, file.path);
	return [{ message: text === '' ? '`opa` failed and gave no reason' : text }];
}

function original(staged: string, files: readonly SourceFile[]): string {
	const clean = posix.normalize(staged).replace(/^\/+/, '');
	return files.find(file => file.staged === clean)?.path ?? clean;
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
