import type { PolicyConfig } from '../config/schema.ts';
import { type Watch, watchFiles } from '../config/watch.ts';
import { compilePattern } from '../formats/spiffe-pattern.ts';
import type { Clock, PolicySet, PolicySource } from '../model/ports.ts';
import { BUILTINS } from './builtins/registry.ts';
import type { Bundle } from './bundle.ts';
import { BundleKeep } from './keep.ts';
import { type BundleConfig, bundleConfigs, isArchive, readAny, verifyRules } from './locate.ts';
import { type Environment, findOpa } from './opa.ts';
import { type Problem, problem, problemsOf } from './problem.ts';
import { RemoteBundle, type RemoteNews } from './remote/remote.ts';
import type { ServerAccess } from './remote/server.ts';
import { type Applying, type LoadedBundle, loadBundle, policySet } from './set.ts';
import { signatureProblem } from './signature.ts';
import type { PolicyEvents, PolicyStatus } from './status.ts';

/** Loads policy bundles, watches their files, and swaps in what is good. */

/** Bundles in force are marked so this often, for the keeping of old ones. */
const MARK_EVERY = 3600_000;

export type { BundleStatus, PolicyEvents, PolicyStatus } from './status.ts';

export interface PolicyDeps {
	readonly clock: Clock;
	/** PATH, SALLYPORT_OPA, XDG_CACHE_HOME, HOME and TMPDIR are read from here. */
	readonly environment: Environment;
	readonly events?: PolicyEvents;
	/** Watch the files; on by default. */
	readonly watch?: boolean;
	/** What servers of bundles are shown. */
	readonly access?: ServerAccess;
}

/** `changed` is false when what was found is in force already. */
export type Reloaded =
	| { readonly ok: true; readonly revision: string; readonly changed: boolean }
	| { readonly ok: false; readonly problems: readonly Problem[] };

export interface OpenPolicy extends PolicySource {
	/** Loads everything anew, and asks servers now. Never rejects; calls during a reload wait for one that begins after it. */
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
	readonly #remotes: ReadonlyMap<string, RemoteBundle>;
	/** Bundles from servers that are good, by name; those of them that are in force too. */
	readonly #taken = new Map<string, InForce>();
	readonly #listeners = new Set<(set: PolicySet) => void>();
	#current: PolicySet | undefined;
	/** In the order of the configuration; undefined where one that is only tried is not there. */
	#loaded: readonly (InForce | undefined)[] = [];
	/** Why bundles that are only tried are not those that were found last. */
	readonly #untried = new Map<string, readonly Problem[]>();
	#lastSuccess: number | undefined;
	#lastAttempt: number | undefined;
	#problems: readonly Problem[] | undefined;
	#running: Promise<Reloaded> | undefined;
	#next: Promise<Reloaded> | undefined;
	#watch: Watch | undefined;
	#turn: Promise<unknown> = Promise.resolve();
	#marks: NodeJS.Timeout | undefined;
	#closed = false;

	constructor(config: PolicyConfig, deps: PolicyDeps) {
		this.#config = config;
		this.#deps = deps;
		this.#bundles = bundleConfigs(config);
		this.#keep = new BundleKeep(config.keep);
		this.#remotes = this.#remotesOf(this.#bundles);
	}

	async start(): Promise<void> {
		const paths = this.#bundles.flatMap(bundle => bundle.paths);
		if (this.#deps.watch !== false && paths.length > 0) this.#watch = await watchFiles(paths, () => void this.#load());
		const starts = this.#bundles.map(({ name, shadow }) => {
			const started = this.#remotes.get(name)?.start();
			// What has no say holds up no start.
			return shadow ? undefined : started;
		});
		await Promise.all(starts);
		await this.#load();
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

	async reload(): Promise<Reloaded> {
		const looks = [...this.#remotes].map(async ([name, remote]) => {
			const message = await remote.look();
			return message === undefined ? [] : [{ message: `${name}: ${message}` }];
		});
		const problems = (await Promise.all(looks)).flat();
		const loaded = await this.#load();
		if (loaded.ok && problems.length === 0) return loaded;
		return { ok: false, problems: loaded.ok ? problems : [...problems, ...loaded.problems] };
	}

	#load(): Promise<Reloaded> {
		if (this.#running === undefined) {
			this.#running = this.#inTurn(() => this.#attempt(true)).finally(() => {
				this.#running = undefined;
			});
			return this.#running;
		}
		// What runs may have read the files before they were changed; whoever asks now gets the one after it.
		this.#next ??= this.#running.then(() => {
			this.#next = undefined;
			return this.#load();
		});
		return this.#next;
	}

	status(): PolicyStatus {
		return {
			...(this.#current === undefined ? {} : { revision: this.#current.revision }),
			bundles: this.#inForce().map(({ config, bundle, activated }) => ({
				name: bundle.name,
				revision: bundle.revision,
				from: sourcesOf(config),
				activated,
				memory: bundle.memory(),
				...(config.shadow ? { shadow: true as const } : {}),
			})),
			untried: [...this.#untried.values()].flat(),
			downloads: [...this.#remotes.values()].map(remote => remote.status()),
			...(this.#lastSuccess === undefined ? {} : { lastSuccess: this.#lastSuccess }),
			...(this.#lastAttempt === undefined ? {} : { lastAttempt: this.#lastAttempt }),
			...(this.#problems === undefined ? {} : { problems: this.#problems }),
		};
	}

	async prune(oldestRecord: number): Promise<readonly string[]> {
		const held = [...this.#inForce(), ...this.#taken.values()];
		return await this.#keep.prune(oldestRecord, new Set(held.map(entry => entry.kept)));
	}

	close(): void {
		this.#closed = true;
		this.#watch?.close();
		for (const remote of this.#remotes.values()) remote.close();
		clearInterval(this.#marks);
		this.#listeners.clear();
	}

	/** Loads one after the other: what is compared with what is in force must still be so when it is exchanged. */
	#inTurn<T>(run: () => Promise<T>): Promise<T> {
		const turn = this.#turn.then(run);
		this.#turn = turn.catch(() => {});
		return turn;
	}

	#remotesOf(bundles: readonly BundleConfig[]): ReadonlyMap<string, RemoteBundle> {
		const { clock, access, events } = this.#deps;
		const made = new Map<string, RemoteBundle>();
		for (const config of bundles) {
			if (config.remote === undefined) continue;
			const deps = {
				clock,
				access,
				keep: this.#config.keep,
				memory: this.#config.memory,
				take: (bundle: Bundle) => this.#inTurn(() => this.#take(config, bundle)),
				news: (news: RemoteNews) => events?.download?.(news),
			};
			made.set(config.name, new RemoteBundle(config.name, config.remote, config.verify, deps));
		}
		return made;
	}

	/** A bundle from a server: good or not by itself, whatever the others are. */
	async #take(config: BundleConfig, bundle: Bundle): Promise<readonly Problem[] | undefined> {
		if (this.#closed) return [{ message: 'Sallyport is stopping' }];
		try {
			this.#taken.set(config.name, await this.#ready(config, bundle));
		} catch (error) {
			return problemsOf(error);
		}
		await this.#attempt(false);
		return undefined;
	}

	/** `anew`: files are read again although they are in force. */
	async #attempt(anew: boolean): Promise<Reloaded> {
		const { clock, events } = this.#deps;
		const start = clock.now();
		try {
			const changed = await this.#activate(anew);
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

	/** Finds every bundle, and swaps the set if all are good and any is new. */
	async #activate(anew: boolean): Promise<boolean> {
		const loaded = await Promise.all(
			this.#bundles.map((config, index) =>
				config.shadow ? this.#tried(config, index, anew) : this.#find(config, index, anew),
			),
		);
		if (this.#current !== undefined && loaded.every((entry, index) => entry === this.#loaded[index])) return false;
		await this.#mark();
		this.#loaded = loaded;
		const there = loaded.filter(entry => entry !== undefined);
		this.#current = policySet(
			there.filter(({ config }) => !config.shadow).map(applying),
			there.filter(({ config }) => config.shadow).map(applying),
		);
		return true;
	}

	async #find(config: BundleConfig, index: number, anew: boolean): Promise<InForce> {
		if (config.remote !== undefined) return this.#takenOf(config);
		const inForce = this.#loaded[index];
		if (inForce !== undefined && !anew) return inForce;
		const bundle = await this.#read(config);
		return inForce?.bundle.bundle.archive.equals(bundle.archive) === true ? inForce : await this.#ready(config, bundle);
	}

	/** A bundle that has no say holds up nothing: what is wrong with it leaves the one before, or none. */
	async #tried(config: BundleConfig, index: number, anew: boolean): Promise<InForce | undefined> {
		try {
			const found = await this.#find(config, index, anew);
			this.#untried.delete(config.name);
			return found;
		} catch (error) {
			this.#untried.set(config.name, problemsOf(error));
			return this.#loaded[index];
		}
	}

	/** Without one of them nothing is decided: it may be the one that denies. */
	#takenOf(config: BundleConfig): InForce {
		const taken = this.#taken.get(config.name);
		if (taken !== undefined) return taken;
		const { problem: why } = this.#remotes.get(config.name)?.status() ?? {};
		throw problem(`bundle ${config.name} is not there yet${why === undefined ? '' : `: ${why}`}`, config.remote?.url);
	}

	/** Loaded and kept. Rejects with PolicyError. */
	async #ready(config: BundleConfig, bundle: Bundle): Promise<InForce> {
		const now = this.#deps.clock.now();
		const { memory, fuel } = this.#config;
		const options = { memory, fuel, builtins: BUILTINS };
		const ready = await loadBundle(config.name, bundle, sourcesOf(config).join(', '), options);
		return { config, bundle: ready, activated: now, kept: await this.#keepBundle(config, bundle, now) };
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

	#inForce(): readonly InForce[] {
		return this.#loaded.filter(entry => entry !== undefined);
	}

	/** Bundles in force were so until now. */
	async #mark(): Promise<void> {
		const now = this.#deps.clock.now();
		for (const { config, bundle } of this.#inForce()) await this.#keep.keep(config.name, bundle.bundle, now);
	}

	async #read(config: BundleConfig): Promise<Bundle> {
		// `opa` is looked for at each reload: it may have been installed since.
		const rules = await verifyRules(config.verify);
		if (rules !== undefined && !(await isArchive(config.paths[0] ?? '')))
			throw problem('`verify` is for compiled bundles: sources are not signed', config.paths[0]);
		return await readAny(
			config.paths,
			() => findOpa(this.#config.opa, this.#deps.environment),
			files => signatureProblem(files, rules),
		);
	}
}

const sourcesOf = ({ paths, remote }: BundleConfig): readonly string[] => (remote === undefined ? paths : [remote.url]);

function applying({ config, bundle }: InForce): Applying {
	const patterns = config.agents?.map(pattern => compilePattern(pattern));
	return { bundle, appliesTo: id => patterns === undefined || patterns.some(matches => matches(id)) };
}
