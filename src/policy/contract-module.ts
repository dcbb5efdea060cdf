import { PHASES, type Phase, POLICY_PATHS, type PolicyPath, phaseOf } from '../model/call.ts';
import type { Opa } from './opa.ts';
import { PolicyError, type Problem } from './problem.ts';
import type { SourceFile } from './sources.ts';

/**
 * The contract between Rego and Sallyport: which packages and rules there may be under `sallyport`, and the module of
 * ours that turns them into one value whose types are checked where they are still known, inside Rego.
 */

/** Rules that Sallyport asks for. Every other name in its packages is a slip of the pen, unless it begins with `_`. */
const RULES: Readonly<Record<Phase, readonly string[]>> = {
	connect: ['allow', 'deny', 'ask'],
	request: ['allow', 'deny', 'ask'],
	response: ['allow', 'deny', 'ask'],
};

/** A Rego file after parsing: its package and the heads of its rules. */
export interface Module {
	readonly file: SourceFile;
	readonly package: readonly string[];
	readonly rules: readonly {
		readonly name: string;
		readonly isFunction: boolean;
		readonly isSet: boolean;
		readonly isPlain: boolean;
		/** Types, as `opa` names them, of its value and of those behind the first `else`s; `ref`, `var`, `call` where only evaluating tells. */
		readonly values: readonly string[];
		/** Type of what a set's rule adds; null where it adds nothing. */
		readonly adds: string | null;
	}[];
}

const PARSE = `[m |
	some i, f in input.files
	ast := rego.parse_module(f.name, f.text)
	m := {
		"index": i,
		"package": [p.value | some p in ast.package.path],
		"rules": [{
			"name": rule.head.ref[0].value,
			"isFunction": object.get(rule.head, "args", null) != null,
			"isSet": object.get(rule.head, "key", null) != null,
			"isPlain": count(rule.head.ref) == 1,
			"values": [t |
				some way in [["head"], ["else", "head"], ["else", "else", "head"]]
				t := object.get(rule, array.concat(way, ["value", "type"]), null)
				t != null
			],
			"adds": object.get(rule.head, ["key", "type"], null),
		} | some rule in object.get(ast, "rules", [])],
	}
]`;

/** Parses all Rego files in one go. A file that does not parse is missing in the answer: the compiler says why. */
export async function parseModules(opa: Opa, files: readonly SourceFile[]): Promise<readonly Module[]> {
	const rego = files.filter(file => file.kind !== 'data');
	const input = JSON.stringify({ files: rego.map(file => ({ name: file.path, text: file.bytes.toString('utf8') })) });
	const { stdout } = await opa.run(['eval', '--format', 'raw', '--stdin-input', PARSE], { input });
	let found: unknown;
	try {
		found = JSON.parse(stdout);
	} catch {
		return [];
	}
	if (!Array.isArray(found)) return [];
	return (found as (Omit<Module, 'file'> & { readonly index: number })[]).flatMap(({ index, ...module }) => {
		const file = rego[index];
		return file === undefined ? [] : [{ ...module, package: module.package.slice(1), file }];
	});
}

/** What a package is asked for; undefined for packages of the author's own. */
export function askedFor([first, ...rest]: readonly string[]): PolicyPath | undefined {
	const path = rest.join('/');
	return first === 'sallyport' ? POLICY_PATHS.find(known => known === path) : undefined;
}

/** Unknown packages and rules under `sallyport`. */
export function contractProblems(modules: readonly Module[]): readonly Problem[] {
	const problems: Problem[] = [];
	for (const { file, package: path, rules } of modules) {
		if (path[0] !== 'sallyport' || file.kind === 'test') continue;
		const asked = askedFor(path);
		if (asked === undefined) {
			const known = PHASES.map(name => `sallyport.${name}`).join(', ');
			problems.push({
				message: `unknown package ${path.join('.')}: Sallyport asks for ${known}, and sallyport.inbound.request and its like`,
				file: file.path,
				line: lineOf(file, /^\s*package\b/),
			});
			continue;
		}
		const phase = phaseOf(asked);
		for (const rule of rules) {
			if (rule.name.startsWith('_')) continue;
			const known = RULES[phase].includes(rule.name) && !rule.isFunction;
			if (known) continue;
			const line = lineOf(file, new RegExp(`^\\s*(default\\s+)?${rule.name.replace(/[^A-Za-z0-9_]/g, '\\$&')}\\b`));
			const what =
				rule.isFunction && RULES[phase].includes(rule.name)
					? `${rule.name} must not be a function`
					: `unknown rule ${rule.name} in ${path.join('.')}`;
			problems.push({
				message: `${what}: Sallyport asks for ${RULES[phase].join(', ')}; helpers begin with _ or stand in a package of their own`,
				file: file.path,
				line,
			});
		}
	}
	return problems;
}

/** Types of terms whose value is known only when they are evaluated. */
const LATER: ReadonlySet<string> = new Set(['ref', 'var', 'call']);
const REASON: ReadonlySet<string> = new Set(['string', 'object', 'templatestring']);

/** Rules whose shape cannot be right, found without evaluating: for `policy check`. */
export function shapeProblems(modules: readonly Module[]): readonly Problem[] {
	return modules.flatMap(({ file, package: path, rules }) => {
		if (askedFor(path) === undefined || file.kind === 'test') return [];
		return rules.flatMap((rule, index) => {
			const nth = rules.slice(0, index).filter(({ name }) => name === rule.name).length;
			const line = lineOf(file, new RegExp(`^\\s*(default\\s+)?${rule.name}\\b`), nth);
			if ((rule.name === 'deny' || rule.name === 'ask') && !rule.isSet) {
				return [{ message: `${rule.name} must be a set: write \`${rule.name} contains …\``, file: file.path, line }];
			}
			if (rule.name === 'allow' && (rule.isSet || !rule.isPlain)) {
				return [{ message: 'allow must be a boolean: write `allow if …`', file: file.path, line }];
			}
			const odd = rule.values.find(type => !LATER.has(type) && type !== 'boolean');
			if (rule.name === 'allow' && odd !== undefined) {
				return [
					{ message: `allow must be a boolean, and not of type ${odd}: write \`allow if …\``, file: file.path, line },
				];
			}
			if (
				(rule.name === 'deny' || rule.name === 'ask') &&
				rule.adds !== null &&
				!REASON.has(rule.adds) &&
				!LATER.has(rule.adds)
			) {
				return [
					{
						message: `a reason is a string or {msg, code, detail}, and not of type ${rule.adds}`,
						file: file.path,
						line,
					},
				];
			}
			return [];
		});
	});
}

/** The line of the match that `nth` (from 0) others precede, or of the last there is; 1 where there is none. */
function lineOf(file: SourceFile, pattern: RegExp, nth = 0): number {
	const lines = file.bytes.toString('utf8').split('\n');
	const found = [...lines.keys()].filter(index => pattern.test(lines[index] ?? ''));
	return (found[nth] ?? found.at(-1) ?? 0) + 1;
}

/** Which rules the modules define, by package; a package without rules is defined too. */
export function definedRules(modules: readonly Module[]): ReadonlyMap<PolicyPath, ReadonlySet<string>> {
	const defined = new Map<PolicyPath, Set<string>>();
	for (const { file, package: path, rules } of modules) {
		const asked = askedFor(path);
		if (asked === undefined || file.kind === 'test') continue;
		const names = defined.get(asked) ?? new Set();
		for (const rule of rules) names.add(rule.name);
		defined.set(asked, names);
	}
	return defined;
}

export const contractEntrypoint = (path: PolicyPath): string => `sallyport/contract/${path}/verdict`;
export const packageEntrypoint = (path: PolicyPath): string => `sallyport/${path}`;
/** As Rego names it: `sallyport.inbound.request`. */
export const packageName = (path: PolicyPath): string => `sallyport.${path.replaceAll('/', '.')}`;

/**
 * Rego of ours for one package. `allow` becomes a list of no or one value, so that undefined can be told from false;
 * `deny` and `ask` stay sets, and what is not a set becomes an object that names its type. An input that could not be
 * read is no object: then the verdict is undefined, and not what rules say about nothing.
 */
export function contractModule(path: PolicyPath, rules: ReadonlySet<string>): string {
	const judging = `data.${packageName(path)}`;
	const list = (name: string): string => {
		if (!rules.has(name)) return `${name} := []\n`;
		const rule = `${judging}.${name}`;
		return [
			`${name} := found if {\n\tfound := ${rule}\n\tis_set(found)\n}`,
			`else := {"malformed": type} if {\n\ttype := type_name(${rule})\n}`,
			'else := []\n',
		].join('\n');
	};
	const allow = rules.has('allow') ? `[value | value := ${judging}.allow]` : '[]';
	return `package sallyport.contract.${path.replaceAll('/', '.')}\n\nverdict := {"allow": ${allow}, "deny": deny, "ask": ask} if is_object(input)\n\n${list('deny')}\n${list('ask')}`;
}

export function throwProblems(problems: readonly Problem[]): void {
	if (problems.length > 0) throw new PolicyError(problems);
}
