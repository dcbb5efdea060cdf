import type { PolicyConfig } from '../config/schema.ts';
import { Loader } from './apart/loader.ts';
import { BUILTINS } from './builtins/registry.ts';
import { type BundleConfig, sourcesOf } from './locate.ts';
import type { Environment } from './opa.ts';
import { type Job, makeReady } from './ready.ts';
import { bundleOf, type LoadedBundle } from './set.ts';

export interface LoadingDeps {
	readonly environment: Environment;
	/** Longest time for loading one bundle in a thread of its own, milliseconds. */
	readonly patience: number | undefined;
}

export interface Wanted {
	/** What a server sent; for files, what stands in them is read. */
	readonly archive: Buffer | undefined;
	/** What is in force: the same is not loaded again. */
	readonly before: LoadedBundle | undefined;
	/** While calls are decided, loading must not hold them up; before that a start is faster without another thread. */
	readonly serving: boolean;
}

/** Loads the bundles of a configuration, within its limits. */
export class Loading {
	readonly #config: PolicyConfig;
	readonly #environment: Environment;
	readonly #apart: Loader;

	constructor(config: PolicyConfig, { environment, patience }: LoadingDeps) {
		this.#config = config;
		this.#environment = environment;
		this.#apart = new Loader(patience);
	}

	/** Undefined when it is the one before. Rejects with PolicyError. */
	async load(config: BundleConfig, { archive, before, serving }: Wanted): Promise<LoadedBundle | undefined> {
		const { memory, fuel, opa } = this.#config;
		const job: Job = {
			paths: sourcesOf(config),
			archive,
			verify: config.verify,
			opa,
			environment: { ...this.#environment },
			memory,
			fuel,
			builtins: new Set(BUILTINS.keys()),
			inForce: before?.found.digest,
		};
		const ready = await (serving ? this.#apart.load(job) : makeReady(job));
		return ready === undefined ? undefined : bundleOf(config.name, ready, { memory, fuel, builtins: BUILTINS });
	}

	close(): void {
		this.#apart.close();
	}
}
