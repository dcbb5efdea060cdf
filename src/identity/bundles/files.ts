import { type Watch, watchFiles } from '../../config/watch.ts';
import { readBytes } from '../read-file.ts';
import type { Broken } from '../trust.ts';
import { type BundleSource, type BundleStatus, type DomainBundle, joinBundles, readDomainBundle } from './bundle.ts';
import { KeptBundle, type KeptBundleDeps } from './kept.ts';

/** A trust domain's bundle from files, which are watched. */
export class BundleFiles implements BundleSource {
	readonly trustDomain: string;
	readonly #paths: readonly string[];
	readonly #kept: KeptBundle;
	#turn: Promise<unknown> = Promise.resolve();
	#watch: Watch | undefined;

	constructor(trustDomain: string, paths: readonly string[], deps: KeptBundleDeps) {
		this.trustDomain = trustDomain;
		this.#paths = paths;
		this.#kept = new KeptBundle(trustDomain, 'files', paths.join(', '), deps);
	}

	async start(): Promise<void> {
		// Watched first and read then, so that no change falls between.
		this.#watch = await watchFiles(this.#paths, () => void this.reload());
		await this.reload();
	}

	current(): DomainBundle | undefined {
		return this.#kept.bundle;
	}

	status(): BundleStatus {
		return this.#kept.status();
	}

	reload(): Promise<Broken | undefined> {
		const turn = this.#turn.then(async () => this.#kept.take(await this.#read()));
		this.#turn = turn;
		return turn;
	}

	close(): void {
		this.#watch?.close();
	}

	async #read(): Promise<DomainBundle | Broken> {
		const parts: DomainBundle[] = [];
		for (const path of this.#paths) {
			const bytes = await readBytes(path);
			if ('broken' in bytes) return bytes;
			const part = readDomainBundle(this.trustDomain, bytes);
			if ('broken' in part) return { broken: `${path}: ${part.broken}` };
			parts.push(part);
		}
		return joinBundles(this.trustDomain, parts);
	}
}
