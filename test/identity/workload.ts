import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { IdentityConfig } from '../../src/config/schema.ts';
import { type IdentityReload, type IdentitySource, openIdentity } from '../../src/identity/source.ts';
import { startWorkloadApi, type WorkloadApiServer } from '../support/workload-api.ts';

/** An identity over a Workload API of the test's own, without a process around it. */
export interface Opened {
	readonly api: WorkloadApiServer;
	readonly identity: IdentitySource;
	readonly reloads: readonly IdentityReload[];
	/** What was said of the connection. */
	readonly connections: readonly string[];
	/** What was said of other domains' bundles. */
	readonly bundles: readonly string[];
	/** Moves the clock, milliseconds. */
	later(by: number): void;
}

export interface OpenOptions {
	readonly svid?: { readonly hint: string } | { readonly id: string };
	readonly trustBundles?: IdentityConfig['trust_bundles'];
	/** Before the identity is opened. */
	readonly prepare?: (api: WorkloadApiServer) => void;
}

/** A folder with a name that is short enough for sockets. */
export function folder(t: Pick<TestContext, 'after'>): string {
	const at = mkdtempSync(join(tmpdir(), 'spw-'));
	t.after(() => rmSync(at, { recursive: true, force: true }));
	return at;
}

export async function open(t: Pick<TestContext, 'after'>, options: OpenOptions = {}): Promise<Opened> {
	const api = await startWorkloadApi(t, join(folder(t), 'api.sock'));
	options.prepare?.(api);
	let ahead = 0;
	const reloads: IdentityReload[] = [];
	const connections: string[] = [];
	const bundles: string[] = [];
	const identity = await openIdentity(
		{
			trust_domain: 'example.org',
			svid: {
				workload_api: { socket: api.socket, ...(options.svid === undefined ? {} : { svid: options.svid }) },
			},
			trust_bundles: options.trustBundles ?? {},
			clock_skew: 0,
		},
		{
			clock: { now: () => Date.now() + ahead },
			report: reload => reloads.push(reload),
			connection: (connected, problem) => connections.push(connected ? 'connected' : (problem ?? '')),
			bundle: ({ trustDomain, broken }) => bundles.push(`${trustDomain}: ${broken ?? 'taken'}`),
		},
	);
	t.after(() => identity.close());
	return {
		api,
		identity,
		reloads,
		connections,
		bundles,
		later(by) {
			ahead += by;
		},
	};
}
