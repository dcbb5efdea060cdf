import { createHash } from 'node:crypto';
import { POLICY_PATHS, type PolicyPath, phaseOf, type Reads } from '../model/call.ts';
import type { AgentPolicy, PolicySet } from '../model/ports.ts';
import type { BundleRevision, Verdict } from '../model/verdict.ts';
import type { Bundle } from './bundle.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { EVERYTHING, readsOf } from './reads.ts';
import { DEFAULT_FUEL, prepareBundle, type Ready } from './ready.ts';
import { failed, judge, type Malformed, readStatement, type Shape, type Statement, undefinedPhase } from './verdict.ts';

/** Agents that are remembered with the bundles that apply to them. */
const MAX_AGENTS = 10_000;
/** Results that are remembered as read, by their text: most calls get one of a few. */
const MAX_STATEMENTS = 512;
const MAX_STATEMENT_LENGTH = 2048;
const NO_SHADOWS: readonly AgentPolicy[] = Object.freeze([]);

/** A bundle with its engine, ready to judge. */
export interface LoadedBundle {
	readonly name: string;
	readonly revision: string;
	/** As it was found; its module and data are only in the engine. */
	readonly found: Ready['bundle'];
	readonly packages: ReadonlyMap<PolicyPath, LoadedPackage>;
	/** Bytes of WebAssembly memory. */
	memory(): number;
}

interface LoadedPackage {
	readonly reads: readonly (readonly string[])[] | undefined;
	evaluate(input: string): Statement | Malformed;
}

/** Rejects with PolicyError when the module cannot be trusted to judge. `path` is for the error's text. */
export async function loadBundle(
	name: string,
	bundle: Bundle,
	path: string,
	options: EngineOptions,
): Promise<LoadedBundle> {
	return bundleOf(name, { bundle, prepared: await prepareBundle(bundle, path, options) }, options);
}

/** Of a bundle whose data is in memory. */
export function bundleOf(name: string, { bundle, prepared }: Ready, options: EngineOptions): LoadedBundle {
	const engine = new Engine(prepared, { ...options, fuel: options.fuel ?? DEFAULT_FUEL });
	const packages = new Map<PolicyPath, LoadedPackage>();
	for (const [asked, entry] of bundle.packages) {
		const entrypoint = engine.entrypoints.get(entry.entrypoint);
		if (entrypoint === undefined) continue;
		// Whoever asks for the time reads it, although no reference to the input says so.
		const clock = engine.builtins.includes('time.now_ns');
		const reads = entry.reads === undefined || !clock ? entry.reads : [...entry.reads, ['time']];
		packages.set(asked, { reads, evaluate: evaluator(engine, entrypoint, entry.shape) });
	}
	const { revision, archive, digest } = bundle;
	const found = { revision, archive, digest, packages: bundle.packages };
	return { name, revision, found, packages, memory: () => engine.memory };
}

function evaluator(engine: Engine, entrypoint: number, shape: Shape): (input: string) => Statement | Malformed {
	const known = new Map<string, Statement | Malformed>();
	return input => {
		// The contract module sees by itself whether the input could be read.
		if (shape === 'package' && !isObjectText(input)) return { error: 'the input is not a JSON object' };
		const evaluated = engine.evaluate(entrypoint, input);
		if ('error' in evaluated) return evaluated;
		const { raw } = evaluated;
		const remembered = known.get(raw);
		if (remembered !== undefined) return remembered;
		const statement = readStatement(raw, shape);
		if (raw.length <= MAX_STATEMENT_LENGTH) {
			if (known.size >= MAX_STATEMENTS) known.clear();
			known.set(raw, statement);
		}
		return statement;
	};
}

function isObjectText(input: string): boolean {
	try {
		const value: unknown = JSON.parse(input);
		return typeof value === 'object' && value !== null && !Array.isArray(value);
	} catch {
		return false;
	}
}

export interface Applying {
	readonly bundle: LoadedBundle;
	/** For which agents it speaks. */
	readonly appliesTo: (spiffeId: string) => boolean;
}

/** One activated set. `shadows` have no say in it. */
export function policySet(loaded: readonly Applying[], shadows: readonly Applying[] = []): PolicySet {
	const bundles = Object.freeze(
		loaded.map(({ bundle }) => Object.freeze({ name: bundle.name, revision: bundle.revision })),
	);
	const revision = createHash('sha256').update(JSON.stringify(bundles)).digest('hex');
	const agents = new Map<string, AgentPolicy | undefined>();
	/** Agents to whom the same bundles apply share one policy, and what is prepared for it. */
	const policies = new Map<string, AgentPolicy>();
	const find = (spiffeId: string): AgentPolicy | undefined => {
		const applying = loaded.filter(entry => entry.appliesTo(spiffeId));
		if (applying.length === 0) return undefined;
		const key = applying.map(entry => entry.bundle.name).join(' ');
		let policy = policies.get(key);
		if (policy === undefined) {
			policy = agentPolicy(applying.map(entry => entry.bundle));
			policies.set(key, policy);
		}
		return policy;
	};
	const tried = shadows.map(({ bundle, appliesTo }) => ({ policy: agentPolicy([bundle]), appliesTo }));
	const shadowsOf = new Map<string, readonly AgentPolicy[]>();
	return Object.freeze({
		revision,
		bundles,
		shadowsFor: (spiffeId: string) => {
			if (tried.length === 0) return NO_SHADOWS;
			let found = shadowsOf.get(spiffeId);
			if (found === undefined) {
				found = tried.filter(({ appliesTo }) => appliesTo(spiffeId)).map(({ policy }) => policy);
				if (shadowsOf.size >= MAX_AGENTS) shadowsOf.clear();
				shadowsOf.set(spiffeId, found);
			}
			return found;
		},
		forAgent: (spiffeId: string) => {
			if (agents.has(spiffeId)) return agents.get(spiffeId);
			const policy = find(spiffeId);
			if (agents.size >= MAX_AGENTS) agents.clear();
			agents.set(spiffeId, policy);
			return policy;
		},
	});
}

export function agentPolicy(loaded: readonly LoadedBundle[]): AgentPolicy {
	const bundles: readonly BundleRevision[] = Object.freeze(
		loaded.map(({ name, revision }) => Object.freeze({ name, revision })),
	);
	const reads = byPath(path => unionOfReads(loaded.flatMap(bundle => bundle.packages.get(path) ?? [])));
	const judges = byPath(path =>
		loaded.flatMap(bundle => {
			const found = bundle.packages.get(path);
			return found === undefined ? [] : [{ name: bundle.name, evaluate: found.evaluate }];
		}),
	);
	return Object.freeze({
		bundles,
		reads: (path: PolicyPath) => reads[path],
		defines: (path: PolicyPath) => judges[path].length > 0,
		evaluate: (path: PolicyPath, input: string): Verdict => {
			const asked = judges[path];
			if (asked.length === 0) return undefinedPhase(phaseOf(path));
			const start = performance.now();
			const statements: Statement[] = [];
			for (const { name, evaluate } of asked) {
				const statement = evaluate(input);
				if ('error' in statement) return failed({ ...statement, error: `${name}: ${statement.error}` }, micros(start));
				statements.push(statement);
			}
			return judge(statements, micros(start));
		},
	});
}

const micros = (start: number): number => Math.round((performance.now() - start) * 1000);

const byPath = <T>(make: (path: PolicyPath) => T): Readonly<Record<PolicyPath, T>> =>
	Object.fromEntries(POLICY_PATHS.map(path => [path, make(path)])) as Record<PolicyPath, T>;

function unionOfReads(packages: readonly LoadedPackage[]): Reads {
	const paths: (readonly string[])[] = [];
	for (const { reads } of packages) {
		if (reads === undefined) return EVERYTHING;
		paths.push(...reads);
	}
	return readsOf(paths);
}
