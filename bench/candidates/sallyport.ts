import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../cache.ts';
import type { Candidate, Running, Setting } from '../candidate.ts';
import { TRUST_DOMAIN } from '../certificates.ts';
import { GRANTS_REGO, grantsData } from '../grants.ts';
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
}

/** Flags of bin/sallyport. */
const SHIPPED: readonly string[] = ['--max-semi-space-size=4', '--expose-gc'];

/** Sallyport as it is installed: every call decided by Rego, every decision and outcome in the chain. */
export function sallyport(options: SallyportOptions): Candidate {
	const { name, grants, flags, sources = false, built = false } = options;
	const main = join(ROOT, sources ? 'src/main.ts' : 'dist/main.js');
	return {
		name,
		what: `every call decided (grants as data, ${grants.toLocaleString('en')} of them), decision and outcome recorded`,
		async prepare() {
			if (!sources && !built) {
				const problem = run(
					[nodeProgram(), join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'],
					ROOT,
				);
				if (problem !== undefined) return { missing: `Sallyport is left out: \`npm run build\` fails. ${problem}` };
			}
			if (!existsSync(main)) return { missing: `Sallyport is left out: ${main} is not there.` };
			const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
			return { version };
		},
		async start(setting: Setting): Promise<Running> {
			const port = await freePort();
			const health = await freePort();
			const file = join(setting.folder, 'sallyport.yaml');
			const log = join(setting.folder, 'log');
			const policy = join(setting.folder, 'policy');
			await mkdir(policy);
			await writeFile(join(policy, 'grants.rego'), GRANTS_REGO);
			await writeFile(join(policy, 'data.json'), grantsData(grants));
			await writeFile(file, JSON.stringify(configuration(setting, port, health), undefined, '\t'));
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

/** JSON is YAML. What stands here differs from the defaults only in paths, ports and the room for a long load. */
function configuration({ certificates, upstreamPort, folder }: Setting, port: number, health: number): unknown {
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
		policy: { files: ['policy'], memory: '512MiB' },
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
		// A sidecar's own default keeps strangers from taking its time.
		limits: { handshakes_per_second: 1_000_000 },
		admin: { health: { address: `127.0.0.1:${health}` } },
		log: { level: 'warn' },
	};
}
