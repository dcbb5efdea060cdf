import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PolicyPath } from '../model/call.ts';
import { nanoseconds } from './builtins/instant.ts';
import { type Bundle, regoOf } from './bundle.ts';
import { packageName } from './contract-module.ts';
import type { Opa } from './opa.ts';
import { closedIn } from './opa-capabilities.ts';
import { problem } from './problem.ts';
import { stageText } from './sources.ts';
import { type Malformed, readStatement, type Statement } from './verdict.ts';

/** `audit explain`: an input judged again by the Rego of a bundle, in `opa`, which tells what each rule came to. */

export const DECIDING = ['deny', 'allow', 'ask'] as const;

/** What one rule came to. */
export interface RuleRun {
	readonly rule: (typeof DECIDING)[number];
	/** As its author knows it. */
	readonly file: string;
	readonly line: number;
	/** The text of that line. */
	readonly text: string;
	/** It stands in where no other holds. */
	readonly default?: true;
	readonly holds: boolean;
	/** Where it came no further. */
	readonly failed?: { readonly line: number; readonly text: string };
}

export interface Explained {
	/** Undefined where the bundle does not define the package. */
	readonly statement: Statement | Malformed | undefined;
	readonly rules: readonly RuleRun[];
}

interface Event {
	readonly Op: string;
	readonly QueryID: number;
	readonly ParentID: number;
	readonly Node?: {
		readonly default?: boolean;
		readonly index?: number;
		readonly head?: { readonly ref?: readonly { readonly value: unknown }[]; readonly name?: string };
	};
	readonly Location?: { readonly file: string; readonly row: number };
}

interface Output {
	readonly result?: readonly { readonly expressions: readonly { readonly value: unknown }[] }[];
	readonly errors?: readonly { readonly message: string }[];
	readonly explanation?: readonly Event[];
}

/**
 * Rejects with PolicyError when the bundle holds no Rego, or `opa` cannot evaluate it. `input` is the text of the input.
 * The Rego need not be what the module was made from: it gets no further than the input.
 */
export async function explain(opa: Opa, bundle: Bundle, path: PolicyPath, input: string): Promise<Explained> {
	const rego = await regoOf(bundle);
	if (rego.size === 0) throw problem('the bundle holds no Rego, only WebAssembly: nobody can say which line decided');
	const folder = await mkdtemp(join(tmpdir(), 'sallyport-explain-'));
	try {
		const more = await closedIn(opa, folder);
		const staged = join(folder, 'bundle');
		for (const [file, bytes] of rego) await stageText(staged, file, bytes);
		await stageText(staged, 'data.json', bundle.data);
		const output = await evaluate(opa, staged, more, `data.${packageName(path)}${clockOf(input)}`, input);
		const value = output.result?.[0]?.expressions[0]?.value;
		return {
			statement: value === undefined ? undefined : readStatement(JSON.stringify([{ result: value }]), 'package'),
			rules: runsOf(output.explanation ?? [], linesOf(ofPackage(rego, packageName(path)))),
		};
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

/** Indexing and early exit leave rules out of the trace that somebody may look for. */
const FLAGS = ['--disable-indexing', '--disable-early-exit', '--explain', 'full', '--format', 'json', '--stdin-input'];

async function evaluate(opa: Opa, cwd: string, more: readonly string[], query: string, input: string): Promise<Output> {
	const { stdout, stderr } = await opa.run(['eval', '-b', '.', ...FLAGS, ...more, query], { cwd, input });
	let output: Output;
	try {
		output = JSON.parse(stdout) as Output;
	} catch {
		throw problem(`\`opa eval\` failed: ${stderr.trim()}`);
	}
	const [error] = output.errors ?? [];
	if (error !== undefined && output.explanation === undefined) throw problem(`\`opa eval\` failed: ${error.message}`);
	return output;
}

/** Time is that of the input, as it was. */
function clockOf(input: string): string {
	const { time } = JSON.parse(input) as { readonly time?: unknown };
	return typeof time === 'string' ? ` with time.now_ns as ${nanoseconds(time)}` : '';
}

/** Other packages may have rules of the same names. */
const ofPackage = (rego: ReadonlyMap<string, Buffer>, name: string): ReadonlyMap<string, Buffer> =>
	new Map([...rego].filter(([, bytes]) => /^package\s+([\w.]+)/m.exec(bytes.toString('utf8'))?.[1] === name));

type Lines = (file: string, row: number) => string;

function linesOf(rego: ReadonlyMap<string, Buffer>): Lines {
	const split = new Map([...rego].map(([file, bytes]) => [file, bytes.toString('utf8').split('\n')]));
	return (file, row) => split.get(clean(file))?.[row - 1]?.trim() ?? '';
}

const clean = (file: string): string => file.replace(/^(\.?\/)+/, '');
/** Folders are numbered when a bundle is built from several. */
const authors = (file: string): string => clean(file).replace(/^source-\d+\//, '');

function runsOf(events: readonly Event[], lines: Lines): readonly RuleRun[] {
	interface Run {
		readonly rule: RuleRun['rule'];
		readonly at: { readonly file: string; readonly row: number };
		readonly isDefault: boolean;
		holds: boolean;
		reached: number;
		failed: number | undefined;
	}
	const runs = new Map<number, Run>();
	for (const { Op: op, QueryID: id, Node: node, Location: at } of events) {
		const run = runs.get(id);
		if (op === 'Enter' && run === undefined && at !== undefined) {
			const name = node?.head?.ref?.[0]?.value ?? node?.head?.name;
			const rule = DECIDING.find(known => known === name);
			if (rule !== undefined && lines(at.file, at.row) !== '')
				runs.set(id, { rule, at, isDefault: node?.default === true, holds: false, reached: -1, failed: undefined });
		} else if (op === 'Exit' && run !== undefined) run.holds = true;
		else if (op === 'Fail' && run !== undefined && (node?.index ?? 0) >= run.reached) {
			// Of several tries the one that came furthest says most.
			run.reached = node?.index ?? 0;
			run.failed = at?.row;
		}
	}
	return [...runs.values()].map(({ rule, at, isDefault, holds, failed }) => ({
		rule,
		file: authors(at.file),
		line: at.row,
		text: lines(at.file, at.row),
		...(isDefault ? { default: true as const } : {}),
		holds,
		...(holds || failed === undefined ? {} : { failed: { line: failed, text: lines(at.file, failed) } }),
	}));
}
