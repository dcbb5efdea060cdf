import { Command, InvalidArgumentError } from 'commander';
import { bundlesOf, type ReadRecord } from '../audit/read-record.ts';
import { size } from '../config/values.ts';
import type { AgentPolicy } from '../model/ports.ts';
import type { BundleRevision } from '../model/verdict.ts';
import { BUILTINS } from '../policy/builtins/registry.ts';
import { BundleKeep } from '../policy/keep.ts';
import { readAny } from '../policy/locate.ts';
import { findOpa } from '../policy/opa.ts';
import { agentPolicy, type LoadedBundle, loadBundle } from '../policy/set.ts';
import { noRecords } from './audit-output.ts';
import { timeOf } from './audit-query.ts';
import { plain, shortName } from './audit-words.ts';
import { printFailures } from './policy-text.ts';
import { type Change, Changes, type Intention, readIntention } from './replay/changes.ts';
import { Judge } from './replay/judge.ts';
import { eachDecision } from './replay/records.ts';
import {
	DONE,
	example,
	FAILURE,
	failure,
	jsonLine,
	processTerminal,
	settle,
	type Terminal,
	table,
	visible,
} from './terminal.ts';

interface Options {
	readonly bundle: string;
	readonly as?: string;
	readonly since?: number;
	readonly until?: number;
	readonly directory: string;
	readonly keep: string;
	readonly intend: readonly Intention[];
	readonly strict?: boolean;
	readonly limit: number;
	readonly memory: number;
	readonly opa?: string;
	readonly json?: boolean;
}

/** `policy replay`: exit status 1 when a verdict changes that nobody said was to change. */
export function replayCommand(terminal: Terminal = processTerminal()): Command {
	return new Command('replay')
		.description('judge recorded decisions again by a candidate, and show what would change')
		.requiredOption('--bundle <path>', 'the candidate: a compiled bundle, or a folder of Rego and data')
		.option(
			'--as <name>',
			'the bundle that it takes the place of, where records name several; the others are kept ones',
		)
		.option(
			'--since <time>',
			'RFC 3339, or how long ago: 2026-03-03T10:00:00Z, 90m, 7d; everything when absent',
			timeOf,
		)
		.option('--until <time>', 'as --since; not included', timeOf)
		.option('--directory <folder>', 'the audit directory', 'var/audit')
		.option('--keep <folder>', 'where bundles are kept (policy.keep)', 'var/policy')
		.option(
			'--intend <change>',
			'FROM:TO[,agent=…][,target=…][,operation=…]: a change that is meant; may be repeated',
			intentionOf,
			[],
		)
		.option('--strict', 'what cannot be determined fails too')
		.option('--limit <count>', 'show so many rows', Number, 50)
		.option('--memory <size>', 'greatest WebAssembly memory of one bundle', sizeOf, 64 * 1024 * 1024)
		.option('--opa <path>', 'the opa executable; otherwise SALLYPORT_OPA, PATH, then the cached copy')
		.option('--json', 'print JSON')
		.addHelpText(
			'after',
			example(
				'sallyport policy replay --bundle policies --since 7d',
				'sallyport policy replay --bundle policies --intend deny:allow,agent=researcher,target=crm --strict',
			),
		)
		.action((options: Options) =>
			settle(terminal, () => printFailures(terminal, options.json === true, () => replay(terminal, options))),
		);
}

function intentionOf(text: string, before: readonly Intention[]): readonly Intention[] {
	const intention = readIntention(text);
	if (intention === undefined)
		throw new InvalidArgumentError('Expected FROM:TO of allow, ask, deny, as deny:allow,agent=researcher,target=crm.');
	return [...before, intention];
}

function sizeOf(text: string): number {
	const parsed = size.safeParse(text);
	if (!parsed.success || parsed.data === 0) throw new InvalidArgumentError('Expected a size such as 64MiB.');
	return parsed.data;
}

async function replay(terminal: Terminal, options: Options): Promise<number> {
	const { bundle: path, directory, intend, since = 0, until = Number.POSITIVE_INFINITY } = options;
	const load = async (name: string, read: Parameters<typeof loadBundle>[1]): Promise<LoadedBundle> =>
		await loadBundle(name, read, path, { memory: options.memory, builtins: BUILTINS });
	const read = await readAny([path], () => findOpa(options.opa, process.env));
	const candidate = await load(options.as ?? 'candidate', read);
	const others = options.as === undefined ? new Map<string, LoadedBundle>() : await keptBundles(options, load);
	const changes = new Changes(intend);
	const judge = new Judge(policies(candidate, options.as, others));
	const progress = progressOf(terminal, changes);
	const records = await eachDecision(directory, { since, until }, record => {
		changes.add(record, judge.judge(record));
		progress();
	});
	if (terminal.person) terminal.err('\r\u001b[K');
	if (records === 0) throw noRecords(directory);
	const { totals } = changes;
	if (totals.decisions === 0) throw failure('there are no decisions of that time');
	const ok =
		totals.unintended === 0 &&
		!(options.strict === true && totals.undetermined > 0) &&
		// A candidate that nothing could be said of is not one that changes nothing.
		(totals.undetermined === 0 || totals.unchanged + totals.other_cause + totals.changed > 0);
	if (options.json === true)
		terminal.out(jsonLine({ ok, ...totals, undetermined_because: changes.reasons(), changes: changes.changes() }));
	else terminal.out(shown(changes, options, ok, terminal));
	return ok ? DONE : FAILURE;
}

/** Every kept bundle that judged beside the one that is replaced, by name and revision. */
async function keptBundles(
	{ directory, keep, as, since = 0, until = Number.POSITIVE_INFINITY }: Options,
	load: (name: string, read: Parameters<typeof loadBundle>[1]) => Promise<LoadedBundle>,
): Promise<Map<string, LoadedBundle>> {
	const named = new Map<string, BundleRevision>();
	await eachDecision(directory, { since, until }, record => {
		for (const bundle of bundlesOf(record))
			if (bundle.name !== as && named.size < MOST_OTHERS) named.set(`${bundle.name} ${bundle.revision}`, bundle);
	});
	const loaded = new Map<string, LoadedBundle>();
	for (const [key, { name, revision }] of named) {
		const [bundle] = await new BundleKeep(keep).find(name, revision);
		if (bundle !== undefined) loaded.set(key, await load(name, bundle));
	}
	return loaded;
}

/** Each has an engine of its own, and memory. */
const MOST_OTHERS = 64;

function policies(
	candidate: LoadedBundle,
	as: string | undefined,
	others: ReadonlyMap<string, LoadedBundle>,
): (record: ReadRecord) => AgentPolicy | string {
	const alone = agentPolicy([candidate]);
	const made = new Map<string, AgentPolicy | string>();
	const make = (named: readonly BundleRevision[]): AgentPolicy | string => {
		if (as === undefined) return 'several bundles judged it: --as says which one the candidate takes the place of';
		if (!named.some(({ name }) => name === as)) return `no bundle named ${as} judged it`;
		const beside: LoadedBundle[] = [];
		for (const { name, revision } of named) {
			if (name === as) continue;
			const kept = others.get(`${name} ${revision}`);
			if (kept === undefined) return `revision ${revision} of bundle ${name}, which judged beside it, is not kept`;
			beside.push(kept);
		}
		return agentPolicy([...beside, candidate]);
	};
	return record => {
		const named = bundlesOf(record);
		if (named.length === 1 && (as === undefined || named[0]?.name === as)) return alone;
		const key = JSON.stringify(named);
		let policy = made.get(key);
		if (policy === undefined) {
			policy = make(named);
			if (made.size > 10_000) made.clear();
			made.set(key, policy);
		}
		return policy;
	};
}

/** Tells a person at a terminal, a few times a second. */
function progressOf(terminal: Terminal, { totals }: Changes): () => void {
	if (!terminal.person) return () => {};
	let told = performance.now();
	return () => {
		if (totals.decisions % 256 !== 0 || performance.now() - told < 200) return;
		told = performance.now();
		terminal.err(`\r${totals.decisions} decisions, ${totals.changed} change`);
	};
}

function shown(changes: Changes, { limit }: Options, ok: boolean, { paint }: Terminal): string {
	const { totals } = changes;
	const all = changes.changes();
	const lines: string[] = [];
	const row = (change: Change): readonly string[] => [
		`${change.from} → ${change.to}`,
		String(change.count),
		shortName(change.agent),
		plain(`${change.operation} → ${change.target}`),
		`${change.from_cause ?? 'allowed'} → ${change.to_cause ?? 'allowed'}${change.phase === 'request' ? '' : ` (${change.phase})`}`,
		change.intended ? 'intended' : change.example,
	];
	lines.push(table(all.slice(0, limit).map(row)));
	if (all.length > limit) lines.push(`and ${all.length - limit} more rows; --limit shows more\n`);
	if (all.length > 0) lines.push('\n');
	lines.push(`${totals.decisions} decisions: ${totals.unchanged} as before, ${totals.changed} change`);
	if (totals.changed > 0) lines.push(` (${totals.unintended} unintended)`);
	if (totals.other_cause > 0) lines.push(`, ${totals.other_cause} have the same verdict for another cause`);
	if (totals.not_judged > 0) lines.push(`, ${totals.not_judged} were refused before policy was asked`);
	lines.push('\n');
	if (totals.undetermined > 0) {
		lines.push(`${totals.undetermined} undetermined:\n`);
		lines.push(
			table(
				changes.reasons().map(({ why, count }) => [String(count), visible(why)]),
				'  ',
			),
		);
	}
	lines.push(ok ? paint('green', 'ok\n') : paint('red', 'not as intended\n'));
	return lines.join('');
}
