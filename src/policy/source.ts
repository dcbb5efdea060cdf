import type { PolicyConfig } from '../config/schema.ts';
import { type Watch, watchFiles } from '../config/watch.ts';
import { compilePattern } from '../formats/spiffe-pattern.ts';
import type { Clock, PolicySet, PolicySource } from '../model/ports.ts';
import { BUILTINS } from './builtins/registry.ts';
import type { Bundle } from './bundle.ts';
import { BundleKeep } from './keep.ts';
import { type BundleConfig, bundleConfigs, readAny } from './locate.ts';
import { type Environment, findOpa } from './opa.ts';
import { type Problem, problem, problemsOf } from './problem.ts';
import { type LoadedBundle, loadBundle, policySet } from './set.ts';

/** Loads policy bundles, watches their files, and swaps in what is good. */

/** Bundles in force are marked so this often, for the keeping of old ones. */
const MARK_EVERY = 3600_000;

export interface BundleStatus {
	readonly name: string;
	readonly revision: string;
	/** Files or archive that it was made from. */
	readonly from: readonly string[];
	/** Milliseconds since the epoch. */
	readonly activated: number;
	/** Bytes of WebAssembly memory. */
	readonly memory: number;
}

export interface PolicyStatus {
	/** Undefined until a set was activated. */
	readonly revision?: string;
	readonly bundles: readonly BundleStatus[];
	/** Milliseconds since the epoch. */
	readonly lastSuccess?: number;
	readonly lastAttempt?: number;
	/** Why the last attempt failed; absent when it succeeded. What was in force before is still. */
	readonly problems?: readonly Problem[];
}

/** Told of what happens, for records, metrics and the log. */
export interface PolicyEvents {
	/** After each swap; `took` in milliseconds. */
	activated?(set: PolicySet, status: PolicyStatus, took: number): void;
	/** What was found is in force already; an earlier failure is mended. */
	confirmed?(status: PolicyStatus): void;
	/** The old set stays in force. */
	failed?(problems: readonly Problem[], status: PolicyStatus): void;
}

export interface PolicyDeps {
	readonly clock: Clock;
	/** PATH, SALLYPORT_OPA, XDG_CACHE_HOME, HOME and TMPDIR are read from here. */
	readonly environment: Environment;
	readonly events?: PolicyEvents;
	/** Watch the files; on by default. */
	readonly watch?: boolean;
}

/** `changed` is false when what was found is in force already. */
export type Reloaded =
	| { readonly ok: true; readonly revision: string; readonly changed: boolean }
	| { readonly ok: false; readonly problems: readonly Problem[] };

export interface OpenPolicy extends PolicySource {
	/** Loads everything anew. Never rejects; calls during a reload wait for one that begins after it. */
	reload(): Promise<Reloaded>;
	status(): PolicyStatus;
	/** Removes kept bundles that no record from `oldestRecord` (milliseconds since the epoch) on can name. */
	prune(oldestRecord: number): Promise<readonly string[]>;
	close(): void;
}

/**
 * Resolves after the first attempt, whether or not it succeeded: without a policy every call is refused, and
 * `status()` says why. Rejects with PolicyError only on a configuration that names no or contradictory bundles.
 */
export async function openPolicy(config: PolicyConfig, deps: PolicyDeps): Promise<OpenPolicy> {
	const source = new Source(config, deps);
	await source.start();
	return source;
}

interface InForce {
	readonly config: BundleConfig;
	readonly bundle: LoadedBundle;
	/** Milliseconds since the epoch. */
	readonly activated: number;
	/** File in which it is kept. */
	readonly kept: string;
}

class Source implements OpenPolicy {
	readonly #config: PolicyConfig;
	readonly #deps: PolicyDeps;
	readonly #bundles: readonly BundleConfig[];
	readonly #keep: BundleKeep;
	readonly #listeners = new Set<(set: PolicySet) => void>();
	#current: PolicySet | undefined;
	#loaded: readonly InForce[] = [];
	#lastSuccess: number | undefined;
	#lastAttempt: number | undefined;
	#problems: readonly Problem[] | undefined;
	#running: Promise<Reloaded> | undefined;
	#next: Promise<Reloaded> | undefined;
	#watch: Watch | undefined;
	#marks: NodeJS.Timeout | undefined;
	#closed = false;

	constructor(config: PolicyConfig, deps: PolicyDeps) {
		this.#config = config;
		this.#deps = deps;
		this.#bundles = bundleConfigs(config);
		this.#keep = new BundleKeep(config.keep);
	}

	async start(): Promise<void> {
		if (this.#deps.watch !== false) {
			const paths = this.#bundles.flatMap(bundle => bundle.paths);
			this.#watch = await watchFiles(paths, () => void this.reload());
		}
		await this.reload();
		this.#marks = setInterval(() => void this.#mark().catch(() => undefined), MARK_EVERY);
		this.#marks.unref();
	}

	current(): PolicySet | undefined {
		return this.#current;
	}

	onChange(listener: (set: PolicySet) => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	reload(): Promise<Reloaded> {
		if (this.#running === undefined) {
			this.#running = this.#attempt().finally(() => {
				this.#running = undefined;
			});
			return this.#running;
		}
		// What runs may have read the files before they were changed; whoever asks now gets the one after it.
		this.#next ??= this.#running.then(() => {
			this.#next = undefined;
			return this.reload();
		});
		return this.#next;
	}

	status(): PolicyStatus {
		return {
			...(this.#current === undefined ? {} : { revision: this.#current.revision }),
			bundles: this.#loaded.map(({ config, bundle, activated }) => ({
				name: bundle.name,
				revision: bundle.revision,
				from: config.paths,
				activated,
				memory: bundle.memory(),
			})),
			...(this.#lastSuccess === undefined ? {} : { lastSuccess: this.#lastSuccess }),
			...(this.#lastAttempt === undefined ? {} : { lastAttempt: this.#lastAttempt }),
			...(this.#problems === undefined ? {} : { problems: this.#problems }),
		};
	}

	async prune(oldestRecord: number): Promise<readonly string[]> {
		return await this.#keep.prune(oldestRecord, new Set(this.#loaded.map(entry => entry.kept)));
	}

	close(): void {
		this.#closed = true;
		this.#watch?.close();
		clearInterval(this.#marks);
		this.#listeners.clear();
	}

	async #attempt(): Promise<Reloaded> {
		const { clock, events } = this.#deps;
		const start = clock.now();
		try {
			const changed = await this.#activate();
			this.#lastAttempt = clock.now();
			this.#lastSuccess = this.#lastAttempt;
			this.#problems = undefined;
			const set = this.#current;
			if (set === undefined) throw problem('no policy is in force');
			if (this.#closed) return { ok: true, revision: set.revision, changed };
			if (changed) {
				events?.activated?.(set, this.status(), this.#lastAttempt - start);
				for (const listener of this.#listeners) listener(set);
			} else events?.confirmed?.(this.status());
			return { ok: true, revision: set.revision, changed };
		} catch (error) {
			const problems = problemsOf(error);
			this.#lastAttempt = clock.now();
			this.#problems = problems;
			if (!this.#closed) events?.failed?.(problems, this.status());
			return { ok: false, problems };
		}
	}

	/** Loads every bundle, and swaps the set if all are good and any is new. */
	async #activate(): Promise<boolean> {
		const bundles = await Promise.all(this.#bundles.map(config => this.#read(config)));
		const inForce = (index: number, bundle: Bundle): InForce | undefined => {
			const entry = this.#loaded[index];
			return entry?.bundle.bundle.archive.equals(bundle.archive) === true ? entry : undefined;
		};
		if (this.#current !== undefined && bundles.every((bundle, index) => inForce(index, bundle) !== undefined))
			return false;
		const now = this.#deps.clock.now();
		const loaded: InForce[] = [];
		for (const [index, config] of this.#bundles.entries()) {
			const bundle = bundles[index];
			if (bundle === undefined) throw problem(`bundle ${config.name} was not read`);
			const same = inForce(index, bundle);
			if (same !== undefined) {
				loaded.push(same);
				continue;
			}
			const options = { memory: this.#config.memory, builtins: BUILTINS };
			const ready = await loadBundle(config.name, bundle, config.paths.join(', '), options);
			loaded.push({ config, bundle: ready, activated: now, kept: await this.#keepBundle(config, bundle, now) });
		}
		await this.#mark();
		this.#loaded = loaded;
		this.#current = policySet(
			loaded.map(({ config, bundle }) => {
				const patterns = config.agents?.map(pattern => compilePattern(pattern));
				return {
					bundle,
					appliesTo: patterns === undefined ? () => true : (id: string) => patterns.some(matches => matches(id)),
				};
			}),
		);
		return true;
	}

	/** A bundle that could not be kept is not activated: records would name what nobody has. */
	async #keepBundle(config: BundleConfig, bundle: Bundle, now: number): Promise<string> {
		try {
			return await this.#keep.keep(config.name, bundle, now);
		} catch (error) {
			throw problem(
				`the bundle cannot be kept: ${error instanceof Error ? error.message : 'unknown'}`,
				this.#config.keep,
			);
		}
	}

	/** Bundles in force were so until now. */
	async #mark(): Promise<void> {
		const now = this.#deps.clock.now();
		for (const { config, bundle } of this.#loaded) await this.#keep.keep(config.name, bundle.bundle, now);
	}

	async #read(config: BundleConfig): Promise<Bundle> {
		// `opa` is looked for at each reload: it may have been installed since.
		return await readAny(config.paths, () => findOpa(this.#config.opa, this.#deps.environment));
	}
}
