import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Running } from './candidate.ts';

/** Processes on a core of their own, and what the kernel says that they cost. */

/** `sysconf(_SC_CLK_TCK)`: /proc counts CPU time in these. */
const TICKS_PER_SECOND = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;

/** Starts a program pinned to one core, or to a list such as `0,1`. What it says goes to `log`. */
export function startPinned(
	core: number | string,
	command: readonly string[],
	log: string,
	options: SpawnOptions = {},
): ChildProcess {
	const descriptor = openSync(log, 'a');
	try {
		return spawn('taskset', ['-c', String(core), ...command], {
			...options,
			stdio: ['ignore', descriptor, descriptor],
		});
	} finally {
		closeSync(descriptor);
	}
}

/** Puts this process and its threads on a core. */
export function pinSelf(core: number): void {
	spawnSync('taskset', ['-a', '-p', '-c', String(core), String(process.pid)]);
}

/** The environment in which servers are found that Debian keeps where only root looks. */
export const serverEnvironment = (): NodeJS.ProcessEnv => ({
	...process.env,
	PATH: `${process.env['PATH'] ?? ''}:/usr/sbin`,
});

/** Sends a signal and waits for the end; SIGKILL after `patience` milliseconds. */
export async function stopProcess(
	child: ChildProcess,
	signal: NodeJS.Signals = 'SIGTERM',
	patience = 10_000,
): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
	child.kill(signal);
	const timer = setTimeout(() => child.kill('SIGKILL'), patience);
	await ended;
	clearTimeout(timer);
}

/** A reverse proxy that is up: it forwards whatever path it is asked for. */
export const runningAt = (child: ChildProcess, port: number): Running => ({
	pid: child.pid ?? 0,
	entrance: { port, target: '/api/v1/things', host: 'crm.internal' },
	async stop() {
		await stopProcess(child);
		return undefined;
	},
});

/** Waits until `ready` answers true; fails when the process ends before, or after `patience` milliseconds. */
export async function untilReady(
	child: ChildProcess,
	log: string,
	ready: () => Promise<boolean>,
	patience = 60_000,
): Promise<void> {
	const end = Date.now() + patience;
	while (!(await ready())) {
		const why =
			child.exitCode !== null || child.signalCode !== null
				? 'ended before it was ready'
				: Date.now() > end
					? 'was not ready in time'
					: undefined;
		if (why !== undefined) {
			await stopProcess(child, 'SIGKILL');
			const said = readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n');
			throw new Error(`${child.spawnargs.slice(3).join(' ')} ${why}; it said:\n${said}`);
		}
		await pause(50);
	}
}

/** Whether an HTTP GET answers 200. */
export async function answers(url: string): Promise<boolean> {
	try {
		const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
		await response.arrayBuffer();
		return response.status === 200;
	} catch {
		return false;
	}
}

/** Whether something accepts connections on a port of 127.0.0.1. */
export function accepts(port: number): Promise<boolean> {
	return new Promise(resolve => {
		const socket = connect(port, '127.0.0.1');
		socket.once('connect', () => {
			socket.destroy();
			resolve(true);
		});
		socket.once('error', () => resolve(false));
	});
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
	const address = server.address();
	await new Promise(resolve => server.close(resolve));
	if (address === null || typeof address === 'string') throw new Error('no free port');
	return address.port;
}

/** CPU seconds of a process so far: all threads, its children that ended, and those that live. */
export function cpuSeconds(pid: number): number {
	let ticks = 0;
	for (const one of family(pid)) {
		const stat = read(`/proc/${one}/stat`);
		if (stat === undefined) continue;
		// The name may hold blanks; what follows its parenthesis is field 3 and on (proc(5)).
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		for (const field of [14, 15, 16, 17]) ticks += Number(fields[field - 3]);
	}
	return ticks / TICKS_PER_SECOND;
}

/** Resident bytes of a process and its children. */
export function residentBytes(pid: number): number {
	let bytes = 0;
	for (const one of family(pid)) {
		const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${one}/status`) ?? '');
		if (kilobytes !== null) bytes += Number(kilobytes[1]) * 1024;
	}
	return bytes;
}

/** Busy seconds of one core so far, whoever used it. Interrupts are not counted: they are the network's. */
export function coreSeconds(core: number): number {
	const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(read('/proc/stat') ?? '');
	const fields = (line?.[1] ?? '').split(' ').map(Number);
	const [user = 0, nice = 0, system = 0] = fields;
	const steal = fields[7] ?? 0;
	return (user + nice + system + steal) / TICKS_PER_SECOND;
}

function family(pid: number): number[] {
	const all = [pid];
	let tasks: string[];
	try {
		tasks = readdirSync(`/proc/${pid}/task`);
	} catch {
		return all;
	}
	for (const task of tasks) {
		for (const child of (read(`/proc/${pid}/task/${task}/children`) ?? '').split(' ')) {
			if (child.trim() !== '') all.push(...family(Number(child)));
		}
	}
	return all;
}

function read(path: string): string | undefined {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return undefined;
	}
}
