import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { configuration } from './candidates/sallyport.ts';
import { buildGrants } from './grants.ts';
import type { Bench } from './load.ts';
import { answers, freePort, residentBytes, startPinned, stopProcess } from './processes.ts';
import { candidateEnvironment, ROOT } from './program.ts';

/** What starting takes, and what is held when nobody calls. */
export interface StartUp {
	/** Milliseconds from the start of `bin/sallyport run` to the first /readyz that is 200, each start. */
	readonly ready: readonly number[];
	/** The same, on one core. */
	readonly readyOnOne: readonly number[];
	/** Resident bytes, and those of them that are in no file, so long after ready: seconds. */
	readonly resident: number;
	readonly anonymous: number;
	readonly after: number;
}

export interface StartUpOptions {
	readonly bench: Bench;
	readonly upstreamPort: number;
	readonly starts: number;
	/** Seconds. */
	readonly idle: number;
}

/** Longest start, milliseconds. */
const PATIENCE = 30_000;

/** Starts what was built as it is when installed, with a compiled bundle of ten grants, several times. */
export async function measureStartUp({ bench, upstreamPort, starts, idle }: StartUpOptions): Promise<StartUp> {
	const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
	try {
		const program = await install(join(folder, 'installed'));
		await buildGrants(join(folder, 'policy'), 10, join(folder, 'policy.tar.gz'));
		const start = async (cores: string): Promise<Started> => {
			const [port, health] = [await freePort(), await freePort()];
			const own = configuration({ certificates: bench.certificates, upstreamPort, folder }, port, health);
			const policy = { bundles: [{ name: 'default', path: 'policy.tar.gz' }] };
			const file = join(folder, 'sallyport.yaml');
			await writeFile(file, JSON.stringify({ ...own, policy, log: { level: 'warn' } }));
			return await started([program, 'run', '--config', file], cores, health, folder);
		};
		// Once for the page cache.
		await (await start(all())).stop();
		const ready: number[] = [];
		const readyOnOne: number[] = [];
		for (let index = 0; index < starts; index++) {
			for (const [cores, times] of [
				[all(), ready],
				[String(bench.cores[0]), readyOnOne],
			] as const) {
				const one = await start(cores);
				times.push(one.ready);
				await one.stop();
			}
		}
		const last = await start(all());
		await pause(idle * 1000);
		const status = await readFile(`/proc/${last.pid}/status`, 'utf8');
		const anonymous = Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
		const resident = residentBytes(last.pid);
		await last.stop();
		return { ready, readyOnOne, resident, anonymous, after: idle };
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

interface Started {
	readonly ready: number;
	readonly pid: number;
	stop(): Promise<void>;
}

async function started(command: readonly string[], cores: string, health: number, folder: string): Promise<Started> {
	const log = join(folder, 'log');
	const begin = performance.now();
	const child = startPinned(cores, command, log, { cwd: folder, env: candidateEnvironment() });
	while (!(await answers(`http://127.0.0.1:${health}/readyz`))) {
		if (child.exitCode !== null || performance.now() - begin > PATIENCE) {
			await stopProcess(child, 'SIGKILL');
			throw new Error(`bin/sallyport was not ready; it said:\n${await readFile(log, 'utf8')}`);
		}
		await pause(3);
	}
	const ready = performance.now() - begin;
	return { ready, pid: child.pid ?? 0, stop: () => stopProcess(child) };
}

/** `bin/sallyport` runs the sources where there are any; an installed package has none. */
async function install(folder: string): Promise<string> {
	await mkdir(join(folder, 'bin'), { recursive: true });
	await copyFile(join(ROOT, 'bin', 'sallyport'), join(folder, 'bin', 'sallyport'));
	for (const name of ['dist', 'node_modules', 'package.json']) await symlink(join(ROOT, name), join(folder, name));
	return join(folder, 'bin', 'sallyport');
}

const all = (): string => `0-${cpus().length - 1}`;
