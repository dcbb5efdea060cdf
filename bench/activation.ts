import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type RunningSallyport, sallyport } from './candidates/sallyport.ts';
import { buildGrants } from './grants.ts';
import { type Bench, drive, generatorCommand } from './load.ts';
import { median } from './median.ts';
import { coreSeconds, cpuSeconds, residentBytes } from './processes.ts';

/** What bundles of one size do to calls, as they come into force. */
export interface Activation {
	/** Bytes of the bundle's data. */
	readonly data: number;
	/** Requests a second. */
	readonly rate: number;
	readonly swaps: number;
	/** Median milliseconds from the order to in force. */
	readonly took: number;
	readonly during: Latency;
	readonly beside: Latency;
	/** Bytes: before the first swap, and the most while swapping. */
	readonly resident: number;
	readonly peak: number;
	/** Share of the candidate's core that others used meanwhile, 0 to 1. */
	readonly disturbed: number;
}

/** Microseconds, from when a request was to be sent. */
export interface Latency {
	readonly p50: number;
	readonly p99: number;
	readonly max: number;
	readonly requests: number;
}

export interface ActivationOptions {
	readonly bench: Bench;
	readonly upstreamPort: number;
	readonly flags: readonly string[];
	readonly connections: number;
	readonly swaps: number;
	say(line: string): void;
}

/** Grants of which data is 1 MB, and 10 MB. */
const SIZES: readonly number[] = [50_000, 500_000];
/** A swap's time ends so long after it is in force, milliseconds; then nothing happens for so long. */
const AFTER = 1000;
const BESIDE = 1500;
/** Of what the same connections get when each sends as soon as it is answered. */
const LOAD = 0.4;
const PATIENCE = 60_000;

/** Monotonic microseconds. */
type Window = readonly [number, number];

/** Puts two bundles into force in turn, by their file, while requests come at a steady rate. */
export async function measureActivation(options: ActivationOptions): Promise<Activation[]> {
	const measured: Activation[] = [];
	for (const grants of SIZES) {
		const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
		try {
			const one = await activate(options, grants, folder);
			measured.push(one);
			options.say(
				`activation of ${(one.data / 1e6).toFixed(0)} MB: p99 ${one.during.p99} us beside ${one.beside.p99} us, in force after ${one.took.toFixed(0)} ms`,
			);
		} finally {
			await rm(folder, { recursive: true, force: true });
		}
	}
	return measured;
}

async function activate(options: ActivationOptions, grants: number, folder: string): Promise<Activation> {
	const { bench, upstreamPort, flags, connections, swaps } = options;
	const archives = [join(folder, 'a.tar.gz'), join(folder, 'b.tar.gz')] as const;
	const data = await buildGrants(join(folder, 'a'), grants, archives[0]);
	await buildGrants(join(folder, 'b'), grants + 10, archives[1]);
	const own = join(folder, 'sallyport');
	await mkdir(own);
	const candidate = sallyport({ name: 'sallyport', grants, flags, built: true, archive: archives[0], level: 'info' });
	const running = await candidate.start({ ...bench, upstreamPort, folder: own, core: bench.cores[0] });
	let requests = 0;
	try {
		const hot = await drive(bench, running, { kind: 'requests', connections, seconds: 3, warmUp: 3 });
		requests += hot.requests;
		const rate = Math.round(hot.rate * LOAD);
		const resident = residentBytes(running.pid);
		const file = join(folder, 'latencies');
		const [command = '', ...rest] = generatorCommand(bench, running, { connections, seconds: 115, warmUp: 1 });
		const generator = spawn(command, [...rest, '-R', String(rate), '-l', file], {
			stdio: ['ignore', 'pipe', 'ignore'],
		});
		const ended = new Promise(resolve => generator.once('close', resolve));
		let said = '';
		generator.stdout.on('data', (chunk: Buffer) => {
			said += chunk.toString();
		});
		let peak = resident;
		const looking = setInterval(() => {
			peak = Math.max(peak, residentBytes(running.pid));
		}, 20);
		const during: Window[] = [];
		const beside: Window[] = [];
		const took: number[] = [];
		const used = (): number => coreSeconds(bench.cores[0]) - cpuSeconds(running.pid);
		const others = { used: used(), since: clock() };
		let disturbed = 0;
		try {
			await pause(2500);
			for (let swap = 0; swap < swaps; swap++) {
				const quiet = clock();
				await pause(BESIDE);
				const order = clock();
				beside.push([quiet, order]);
				await exchange(running, archives[(swap + 1) % 2] ?? '', swap + 2);
				took.push((clock() - order) / 1000);
				await pause(AFTER);
				during.push([order, clock()]);
			}
			disturbed = Math.max(0, ((used() - others.used) * 1e6) / (clock() - others.since));
		} finally {
			clearInterval(looking);
			generator.kill('SIGTERM');
			await ended;
		}
		const result = JSON.parse(said.split('\n').find(line => line.startsWith('{')) ?? '{}') as {
			reqs?: number;
			errs?: number;
		};
		if (result.errs !== 0 || result.reqs === undefined) throw new Error(`requests failed while bundles came: ${said}`);
		requests += result.reqs;
		const entries = latencies(await readFile(file));
		const wrong = await running.stop(requests);
		if (wrong !== undefined) throw new Error(wrong);
		return {
			data,
			rate,
			swaps,
			took: median(took),
			during: within(entries, during),
			beside: within(entries, beside),
			resident,
			peak,
			disturbed,
		};
	} catch (error) {
		await running.stop(0).catch(() => undefined);
		throw error;
	}
}

/** As an operator does it: written beside, and renamed. Resolves when the log says that so many were in force. */
async function exchange({ archive, log }: RunningSallyport, next: string, activations: number): Promise<void> {
	await copyFile(next, `${archive}.next`);
	await rename(`${archive}.next`, archive);
	const end = performance.now() + PATIENCE;
	while ((await activated(log)) < activations) {
		if (performance.now() > end) throw new Error(`the bundle did not come into force: ${await readFile(log, 'utf8')}`);
		await pause(10);
	}
}

const activated = async (log: string): Promise<number> =>
	(await readFile(log, 'utf8')).split('policy is in force').length - 1;

const clock = (): number => Number(process.hrtime.bigint() / 1000n);

interface Entry {
	/** When it was to be sent, and when it was over. */
	readonly from: number;
	readonly to: number;
}

function latencies(bytes: Buffer): Entry[] {
	const entries: Entry[] = [];
	for (let at = 0; at + 16 <= bytes.length; at += 16) {
		const to = Number(bytes.readBigUInt64LE(at));
		entries.push({ from: to - Number(bytes.readBigUInt64LE(at + 8)), to });
	}
	return entries;
}

/** Requests that were under way at any time in these windows. */
function within(entries: readonly Entry[], windows: readonly Window[]): Latency {
	const found = entries
		.filter(({ from, to }) => windows.some(([begin, end]) => to >= begin && from < end))
		.map(({ from, to }) => to - from)
		.sort((a, b) => a - b);
	const at = (share: number): number =>
		found[Math.min(found.length - 1, Math.floor(found.length * share))] ?? Number.NaN;
	return { p50: at(0.5), p99: at(0.99), max: found.at(-1) ?? Number.NaN, requests: found.length };
}
