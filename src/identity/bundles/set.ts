import type { IdentityConfig } from '../../config/schema.ts';
import type { Broken } from '../trust.ts';
import type { BundleSource, BundleStatus, DomainBundle } from './bundle.ts';
import { BundleFiles } from './files.ts';
import { BundleEndpoint, type EndpointDeps } from './https-web.ts';

/** The trust bundles of other domains that the configuration names, each for its own domain only. */
export class ForeignBundles {
	readonly #sources: ReadonlyMap<string, BundleSource>;

	constructor(config: IdentityConfig['trust_bundles'], deps: EndpointDeps) {
		this.#sources = new Map(
			Object.entries(config).map(([trustDomain, { files, https_web: endpoint }]) => [
				trustDomain,
				endpoint === undefined
					? new BundleFiles(trustDomain, files ?? [], deps)
					: new BundleEndpoint(trustDomain, endpoint, deps),
			]),
		);
	}

	async start(): Promise<void> {
		await Promise.all([...this.#sources.values()].map(source => source.start()));
	}

	/** Whether the configuration names the domain: then what others say of it does not count. */
	names(trustDomain: string): boolean {
		return this.#sources.has(trustDomain);
	}

	of(trustDomain: string): DomainBundle | undefined {
		return this.#sources.get(trustDomain)?.current();
	}

	/** Those that there are. */
	current(): DomainBundle[] {
		return [...this.#sources.values()].flatMap(source => source.current() ?? []);
	}

	status(): BundleStatus[] {
		return [...this.#sources.values()].map(source => source.status());
	}

	async reload(): Promise<Broken | undefined> {
		const looked = await Promise.all(
			[...this.#sources.values()].map(async source => ({ source, result: await source.reload() })),
		);
		const broken = looked.flatMap(({ source, result }) =>
			result === undefined ? [] : [`trust bundle of ${source.trustDomain}: ${result.broken}`],
		);
		return broken.length === 0 ? undefined : { broken: broken.join('; ') };
	}

	close(): void {
		for (const source of this.#sources.values()) source.close();
	}
}
