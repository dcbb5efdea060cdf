import { existsSync, readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../cache.ts';
import type { Candidate, Running, Setting } from '../candidate.ts';
import { TRUST_DOMAIN } from '../certificates.ts';
import { writeGrants } from '../grants.ts';
import { answers, freePort, startPinned, stopProcess, untilReady } from '../processes.ts';
import { candidateEnvironment, nodeProgram, ROOT } from '../program.ts';
import { countRecords } from '../records.ts';

export interface SallyportOptions {
	readonly name: string;
	/** Grants in the policy's data, the bench's own among them. */
	readonly grants: number;
	/** Flags of Node. */
	readonly flags: readonly string[];
	/** Run src/main.ts instead of what was built: positions in profiles are then those of the sources. */
	readonly sources?: boolean;
	/** Take dist/ as it is. */
	readonly built?: boolean;
	/** A compiled bundle, copied into the candidate's folder and watched, in the place of Rego and data. */
	readonly archive?: string;
	/** What it logs; warnings when absent. */
	readonly level?: 'info' | 'warn';
}

/** Sallyport that runs, and where it is met beside its listener. */
export interface RunningSallyport extends Running {
	/** Of /readyz and /metrics. */
	readonly health: number;
	/** What it says. */
	readonly log: string;
	/** The compiled bundle, if it was given one. */
	readonly archive: string;
}

/** As a Candidate, but it tells more of what it started. */
export interface SallyportCandidate extends Candidate {
	start(setting: Setting): Promise<RunningSallyport>;
}

/** Flags of bin/sallyport. */
const SHIPPED: readonly string[] = ['--max-semi-space-size=4', '--v8-pool-size=1', '--expose-gc'];

/** Sallyport as it is installed: every call decided by Rego, every decision and outcome in the chain. */
export function sallyport(options: SallyportOptions): SallyportCandidate {
	const { name, grants, flags, sources = false, built = false, archive, level = 'warn' } = options;
	const main = join(ROOT, sources ? 'src/main.ts' : 'dist/main.js');
	return {
		name,
		what: `every call decided (grants as data, ${grants.toLocaleString('en')} of them), decision and outcome recorded`,
		async prepare() {
			const problem = sources || built ? undefined : build();
			if (problem !== undefined) return { missing: `Sallyport is left out: \`npm run build\` fails. ${problem}` };
			if (!existsSync(main)) return { missing: `Sallyport is left out: ${main} is not there.` };
			const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
			return { version };
		},
		async start(setting: Setting): Promise<RunningSallyport> {
			const port = await freePort();
			const health = await freePort();
			const file = join(setting.folder, 'sallyport.yaml');
			const log = join(setting.folder, 'log');
			const bundle = join(setting.folder, 'policy.tar.gz');
			if (archive === undefined) await writeGrants(join(setting.folder, 'policy'), grants);
			else await copyFile(archive, bundle);
			const policy = archive === undefined ? { files: ['policy'] } : { bundles: [{ name: 'default', path: bundle }] };
			await writeFile(
				file,
				JSON.stringify(
					{ ...configuration(setting, port, health), policy: { ...policy, memory: '512MiB' }, log: { level } },
					undefined,
					'\t',
				),
			);
			const command = [
				nodeProgram(),
				'--disable-warning=ExperimentalWarning',
				...(flags.length === 0 ? SHIPPED : flags),
				main,
				'run',
				'--config',
				file,
			];
			const child = startPinned(setting.core, command, log, { cwd: setting.folder, env: candidateEnvironment() });
			await untilReady(child, log, () => answers(`http://127.0.0.1:${health}/readyz`));
			const host = `crm.internal:${setting.upstreamPort}`;
			return {
				pid: child.pid ?? 0,
				health,
				log,
				archive: bundle,
				entrance: { port, target: `http://${host}/api/v1/things`, host },
				async stop(requests) {
					await stopProcess(child, 'SIGTERM', 40_000);
					const { decisions, outcomes } = await countRecords(join(setting.folder, 'audit'));
					if (decisions < requests)
						return `${requests} requests were measured, and only ${decisions} decisions recorded`;
					if (outcomes < requests) return `${requests} requests were measured, and only ${outcomes} outcomes recorded`;
					return undefined;
				},
			};
		},
	};
}

/** Builds dist/; answers what went wrong. */
export const build = (): string | undefined => run([nodeProgram(), join(ROOT, 'scripts', 'build.ts')], ROOT);

/** JSON is YAML. What stands here differs from the defaults only in paths, ports and the room for a long load. */
export function configuration(
	{ certificates, upstreamPort, folder }: Pick<Setting, 'certificates' | 'upstreamPort' | 'folder'>,
	port: number,
	health: number,
): Readonly<Record<string, unknown>> {
	return {
		identity: {
			trust_domain: TRUST_DOMAIN,
			svid: {
				files: {
					certificate: certificates.server.certificate,
					key: certificates.server.key,
					trust_bundle: certificates.ca,
				},
			},
		},
		listeners: [
			{
				name: 'egress',
				address: `127.0.0.1:${port}`,
				serves: 'http_proxy',
				agents: [`spiffe://${TRUST_DOMAIN}/agents/**`],
			},
		],
		upstreams: {
			crm: { address: `127.0.0.1:${upstreamPort}`, hosts: ['crm.internal'], protocol: 'http' },
		},
		audit: { directory: join(folder, 'audit'), limit: '16GiB' },
		// A sidecar's own defaults keep strangers from taking its time, and one agent from taking every place.
		limits: { handshakes_per_second: 1_000_000, connections: 4096, connections_per_agent: 4096 },
		admin: { health: { address: `127.0.0.1:${health}` } },
	};
}
