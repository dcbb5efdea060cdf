import { queryDirectory } from '../audit/query.ts';
import { bundlesOf, objectOf, policyPathOf, textOf } from '../audit/read-record.ts';
import type { PolicyPath } from '../model/call.ts';
import { BUILTINS } from '../policy/builtins/registry.ts';
import { type Bundle, readBundle } from '../policy/bundle.ts';
import { findKept } from '../policy/keep.ts';
import { readArchive } from '../policy/locate.ts';
import { type LoadedBundle, loadBundle } from '../policy/set.ts';
import { mistake } from './terminal.ts';

/** A decision that was recorded, ready to be made again: `policy eval --decision`. */
export interface Recorded {
	readonly id: string;
	readonly phase: PolicyPath;
	/** As recorded, JSON. */
	readonly input: string;
	/** JSON Pointers of what the record does not hold as it was, so that the verdict may differ. */
	readonly missing: readonly string[];
	readonly bundles: readonly LoadedBundle[];
}

/** `id`: or how it begins. Throws a Failure where the record or a kept bundle is not there. */
export async function recordedDecision(id: string, directory: string, keep: string, memory: number): Promise<Recorded> {
	const { rows } = await queryDirectory(directory, { decision: id, limit: 2 }).catch(() => {
		throw mistake(`${directory} cannot be read: name the audit directory by --directory`);
	});
	const [row, other] = rows;
	if (row === undefined || !('decision' in row)) throw mistake(`${directory} holds no decision ${id}`);
	if (other !== undefined) throw mistake(`more than one decision begins with ${id}`);
	const { decision } = row;
	const phase = policyPathOf(decision);
	const input = objectOf(decision.input);
	const named = bundlesOf(decision);
	if (phase === undefined || input === undefined || named.length === 0)
		throw mistake(`no policy was asked for decision ${id}, or its record holds no input`);
	const bundles: LoadedBundle[] = [];
	for (const { name, revision } of named) bundles.push(await keptBundle(name, revision, keep, memory));
	const missing = [decision.masked, decision.erased].flatMap(list => (Array.isArray(list) ? list.map(String) : []));
	return { id: textOf(decision.decision_id) ?? id, phase, input: JSON.stringify(input), missing, bundles };
}

async function keptBundle(name: string, revision: string, keep: string, memory: number): Promise<LoadedBundle> {
	const [path, other] = await findKept(keep, name, revision);
	if (path === undefined)
		throw mistake(`${keep} holds no bundle ${name} of revision ${revision}: name the folder \`policy.keep\` by --keep`);
	if (other !== undefined)
		throw mistake(
			`several bundles ${name} were called ${revision}: name one of ${path}, ${other} itself, with --input`,
		);
	const bundle: Bundle = await readBundle(await readArchive(path), path);
	return await loadBundle(name, bundle, path, { memory, builtins: BUILTINS });
}
