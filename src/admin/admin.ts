import type { Registry } from 'prom-client';
import { type Bound, boundText } from '../config/listen.ts';
import type { Config } from '../config/schema.ts';
import type { Recorder } from '../model/ports.ts';
import type { ApiDeps } from './api.ts';
import { CONTROL, Control, type ControlIdentity } from './control.ts';
import { Health, type NotReady } from './health.ts';

export interface AdminDeps extends ApiDeps {
	readonly identity: ControlIdentity & {
		/** Runs after each swap of the SVID; returns a function that takes it back. */
		onChange(listener: () => void): () => void;
	};
	readonly registry: Pick<Registry, 'metrics' | 'contentType'>;
	readonly recorder: Pick<Recorder, 'control' | 'refusedConnection'>;
	readiness(): readonly NotReady[];
	degraded?(): readonly NotReady[];
	/** Told of what was opened. */
	readonly log: { info(fields: Readonly<Record<string, unknown>>, message: string): void };
}

/** Health, metrics and control of one process, as far as they are configured. */
export interface Admin {
	/** What listens on TCP, which calls must never reach. */
	sockets(): readonly { readonly address: string; readonly port: number }[];
	/** Where /livez, /readyz and /metrics are; undefined when they are nowhere. */
	readonly health: Bound | undefined;
	readonly control: readonly Bound[];
	close(): void;
}

/** Opens what is configured. Rejects with what stands in the way. */
export async function openAdmin(config: Config['admin'], deps: AdminDeps): Promise<Admin> {
	const health =
		config.health === undefined
			? undefined
			: new Health({
					address: config.health.address,
					registry: deps.registry,
					readiness: () => deps.readiness(),
					degraded: () => deps.degraded?.() ?? [],
				});
	const control = config.control === undefined ? undefined : new Control({ ...deps, config: config.control });
	let forget = (): void => {};
	const close = (): void => {
		forget();
		health?.close();
		control?.close();
	};
	try {
		await health?.listen().catch(named('admin.health'));
		await control?.listen().catch(named('admin.control'));
	} catch (error) {
		close();
		throw error;
	}
	const opened = [
		...(health?.bound === undefined ? [] : [{ listener: 'health', bound: health.bound }]),
		...(control?.bound ?? []).map(bound => ({ listener: CONTROL, bound })),
	];
	for (const { listener, bound } of opened) deps.log.info({ listener, address: boundText(bound) }, 'listening');
	if (control !== undefined) {
		forget = deps.identity.onChange(() => control.renew());
		// It may have changed while the address was opened.
		control.renew();
	}
	return {
		sockets: () =>
			[health?.bound, ...(control?.bound ?? [])].flatMap(bound =>
				bound !== undefined && 'port' in bound ? [bound] : [],
			),
		get health() {
			return health?.bound;
		},
		get control() {
			return control?.bound ?? [];
		},
		close,
	};
}

/** Says which section of the configuration could not be opened. */
const named =
	(section: string) =>
	(error: unknown): never => {
		throw new Error(`${section}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
	};
