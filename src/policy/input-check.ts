import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../kernel/package-root.ts';
import type { Module } from './contract-module.ts';
import type { Opa } from './opa.ts';
import { problemsOfCheck } from './opa-check.ts';
import { PolicyError } from './problem.ts';
import { type SourceFile, stageText, withStage } from './sources.ts';

/**
 * References to the input against its schema. A reference that the input cannot have is undefined for every call, and
 * a `deny` that holds one falls silent: so no sources are compiled without this.
 */

/** The JSON Schema of the input. */
export const INPUT_SCHEMA = join(packageRoot(), 'policies', 'input.schema.json');

/** Policies of other systems have inputs of their own. */
const FOREIGN: readonly string[] = ['system', 'envoy', 'istio'];

const FOLDER = 'sallyport-input';

/** Throws PolicyError; files and lines are the author's. Tests give inputs of their own, and only what each needs. */
export async function checkInput(
	opa: Opa,
	files: readonly SourceFile[],
	modules: readonly Module[],
	schema: string,
): Promise<void> {
	const checked = files.filter(({ kind }) => kind === 'rego');
	if (checked.length === 0) return;
	await withStage(checked, async folder => {
		await stageText(folder, `${FOLDER}/schema.json`, await readFile(schema));
		for (const root of foreignRoots(modules)) await stageText(folder, `${FOLDER}/${root}.rego`, anyInput(root));
		const found = await problemsOfCheck(opa, checked, folder, ['--schema', `${FOLDER}/schema.json`]);
		// Schemas that an author's annotations name are for other tools; what they annotate is checked against ours.
		const problems = found.filter(({ message }) => !message.startsWith('undefined schema: '));
		if (problems.length > 0) throw new PolicyError(problems);
	});
}

/** Without those whose author annotates the root: two annotations of one scope are an error. */
function foreignRoots(modules: readonly Module[]): readonly string[] {
	return FOREIGN.filter(root => {
		const below = modules.filter(module => module.package[0] === root && module.file.kind !== 'test');
		const taken = below.some(
			({ file, package: path }) => path.length === 1 && /^#\s*scope:\s*subpackages/m.test(file.bytes.toString('utf8')),
		);
		return below.length > 0 && !taken;
	});
}

/** OPA, "Annotations": a schema for a package and those below it takes precedence over the global one. */
const anyInput = (root: string): string =>
	`# METADATA\n# scope: subpackages\n# schemas:\n#   - input: {}\npackage ${root}\n`;
