import { readFile } from 'node:fs/promises';
import { directionOf, POLICY_PATHS, type PolicyPath, phaseOf } from '../model/call.ts';
import type { AgentPolicy } from '../model/ports.ts';
import type { Builtin } from './builtins/contract.ts';
import type { Bundle } from './bundle.ts';
import { compileSources } from './compile.ts';
import {
	askedFor,
	contractProblems,
	definedRules,
	type Module,
	packageName,
	parseModules,
	shapeProblems,
	throwProblems,
} from './contract-module.ts';
import { checkInput } from './input-check.ts';
import type { Opa } from './opa.ts';
import { check, problemsOfCheck } from './opa-check.ts';
import { PolicyError, type Problem, problemsOf } from './problem.ts';
import { agentPolicy, loadBundle } from './set.ts';
import { gather, type SourceFile, stageText, withStage } from './sources.ts';

/** `policy check`: everything that can be found wrong with a policy before it judges a call, and what it costs. */

export interface Checked {
	readonly bundle: Bundle;
	readonly policy: AgentPolicy;
	readonly packages: readonly CheckedPackage[];
}

export interface CheckedPackage {
	/** Below `sallyport/`. */
	readonly path: PolicyPath;
	/** Undefined when everything is read. */
	readonly reads: readonly string[] | undefined;
	/** Of one evaluation of the sample input, microseconds. */
	readonly micros: number;
	/** Why the sample input came to no statement, such as more steps than `policy.fuel` gives: the cost is that of getting there. */
	readonly error?: string;
}

export interface CheckOptions {
	readonly memory: number;
	readonly builtins: ReadonlyMap<string, Builtin>;
	/** File of the input's JSON Schema. */
	readonly schema: string;
	/** What is evaluated for the cost, as JSON; a sample when absent. */
	readonly input?: string;
}

/** Rejects with PolicyError that holds all problems of the first step that found some. */
export async function checkPolicy(opa: Opa, roots: readonly string[], options: CheckOptions): Promise<Checked> {
	const sources = await gather(roots);
	const modules = await parseModules(opa, sources.files);
	await collect([
		() => withStage(sources.files, folder => check(opa, sources.files, folder, ['--strict'])),
		() => checkInput(opa, sources.files, modules, options.schema),
		async () => throwProblems(contractProblems(modules)),
		async () => throwProblems(shapeProblems(modules)),
		() => checkTypes(opa, sources.files, modules, options.schema),
	]);
	const bundle = await compileSources(opa, sources, undefined, options.schema);
	const loaded = await loadBundle('default', bundle, roots.join(', '), options);
	const policy = agentPolicy([loaded]);
	const packages = POLICY_PATHS.filter(path => policy.defines(path)).map(path => {
		const input = options.input ?? JSON.stringify(sampleInput(path));
		const { error, micros } = policy.evaluate(path, input);
		return {
			path,
			reads: policy.reads(path).paths,
			micros: error === undefined ? costOf(policy, path, input) : micros,
			...(error === undefined ? {} : { error }),
		};
	});
	return { bundle, policy, packages };
}

/** Runs every step, and throws what all of them found. */
async function collect(steps: readonly (() => Promise<void>)[]): Promise<void> {
	const problems: Problem[] = [];
	for (const step of steps) {
		try {
			await step();
		} catch (error) {
			if (!(error instanceof PolicyError)) throw error;
			problems.push(...problemsOf(error));
		}
	}
	const key = ({ file, line, message }: Problem): string => `${file} ${line} ${message}`;
	throwProblems([...new Map(problems.map(found => [key(found), found])).values()]);
}

/** An `allow` that no value of a boolean can come out of, as far as `opa`'s type checker sees: `allow := input.agent.path`. */
async function checkTypes(
	opa: Opa,
	files: readonly SourceFile[],
	modules: readonly Module[],
	schema: string,
): Promise<void> {
	const defined = definedRules(modules);
	const paths = POLICY_PATHS.filter(path => defined.get(path)?.has('allow'));
	const checked = files.filter(({ kind }) => kind === 'rego');
	if (paths.length === 0) return;
	const probe = (path: PolicyPath): string => `types/${path.replace('/', '_')}`;
	const found = await withStage(checked, async folder => {
		for (const path of paths)
			await stageText(
				folder,
				`${probe(path)}.rego`,
				`package ${probe(path).replace('/', '.')}\n\nok if data.${packageName(path)}.allow == true\n`,
			);
		await stageText(folder, 'types/schema.json', await readFile(schema));
		return await problemsOfCheck(opa, checked, folder, ['--schema', 'types/schema.json']);
	});
	throwProblems(
		paths.flatMap(path => {
			if (!found.some(({ file }) => file === `${probe(path)}.rego`)) return [];
			const judges = modules.find(
				module => askedFor(module.package) === path && module.rules.some(({ name }) => name === 'allow'),
			);
			const message = `allow in ${packageName(path)} is never a boolean: write \`allow if …\``;
			return [{ message, ...(judges === undefined ? {} : { file: judges.file.path }) }];
		}),
	);
}

const WARM_UP = 300;
const ROUNDS = 5;
const PER_ROUND = 200;

/** The best of some rounds: what the others were more is not the policy's. */
function costOf(policy: AgentPolicy, path: PolicyPath, input: string): number {
	for (let index = 0; index < WARM_UP; index++) policy.evaluate(path, input);
	let best = Number.POSITIVE_INFINITY;
	for (let round = 0; round < ROUNDS; round++) {
		const start = performance.now();
		for (let index = 0; index < PER_ROUND; index++) policy.evaluate(path, input);
		best = Math.min(best, ((performance.now() - start) * 1000) / PER_ROUND);
	}
	return Math.round(best * 10) / 10;
}

/** A call as Sallyport would describe it. */
export function sampleInput(path: PolicyPath): Readonly<Record<string, unknown>> {
	const phase = phaseOf(path);
	const direction = directionOf(path);
	const session = phase === 'connect';
	return {
		phase,
		time: '2026-01-02T03:04:05.678Z',
		direction,
		labels: { cluster: 'dev' },
		listener: 'egress',
		agent: {
			id: 'spiffe://example.org/agents/researcher',
			trust_domain: 'example.org',
			path: '/agents/researcher',
			segments: ['agents', 'researcher'],
			prefixes: ['/agents', '/agents/researcher'],
			authentication: 'mtls',
		},
		target: {
			name: session ? 'orders' : 'crm',
			host: 'crm.internal',
			port: 443,
			protocol: session ? 'postgres' : 'http',
			tls: true,
			...(direction === 'inbound' ? { agent: 'spiffe://example.org/agents/crm' } : {}),
		},
		call: session
			? { protocol: 'postgres', operation: 'connect', resource: 'orders', effect: 'unknown' }
			: { protocol: 'http', operation: 'GET', resource: '/contacts/7', effect: 'read', digest: 'a'.repeat(64) },
		...(session
			? { sql: { dialect: 'postgres', database: 'orders', user: 'reader' } }
			: {
					http: {
						method: 'GET',
						path: '/contacts/7',
						segments: ['contacts', '7'],
						query: { page: ['1'] },
						headers: { accept: 'application/json', host: 'crm.internal' },
						body_state: 'none',
						...(phase === 'response' ? { status: 200 } : {}),
					},
				}),
	};
}
