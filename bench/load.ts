import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Ruler } from './cache.ts';
import type { Running } from './candidate.ts';
import type { Certificates } from './certificates.ts';
import { coreSeconds, cpuSeconds, residentBytes } from './processes.ts';

/**
 * What the generator does: requests on kept connections; or connections one after the other, each over when its TLS
 * handshake is, with a full handshake or by resumption.
 */
export type Kind = 'requests' | 'full handshakes' | 'resumed handshakes';

const FLAGS: Readonly<Record<Kind, readonly string[]>> = {
	requests: [],
	'full handshakes': ['-n'],
	'resumed handshakes': ['-n', '-r'],
};

/** One run of the generator against one candidate. */
export interface Load {
	readonly kind: Kind;
	readonly connections: number;
	/** Seconds that are measured. */
	readonly seconds: number;
	/** Seconds before that. */
	readonly warmUp: number;
}

/** What came of it. */
export interface Point {
	readonly kind: Kind;
	readonly connections: number;
	/** Or handshakes. */
	readonly requests: number;
	readonly errors: number;
	/** Share of the connections that resumed a session. */
	readonly resumed: number;
	/** Per second of the clock. */
	readonly rate: number;
	/** Per second of the candidate's CPU time. */
	readonly perCpuSecond: number;
	/** Microseconds. */
	readonly p50: number;
	readonly p99: number;
	/** Greatest resident size that was seen while measuring, bytes. */
	readonly resident: number;
	/** Share of the candidate's core that others used meanwhile, 0 to 1. */
	readonly disturbed: number;
	/** Monotonic microseconds: when measuring began and ended. */
	readonly window: readonly [number, number];
}

export interface Bench {
	readonly ruler: Ruler;
	readonly certificates: Certificates;
	/** Core of the candidates, and that of generator, upstream and this process. */
	readonly cores: readonly [number, number];
	/** Bytes of the body that is sent. */
	readonly requestBytes: number;
}

interface Said {
	readonly rps: number;
	readonly reqs: number;
	readonly errs: number;
	readonly secs: number;
	readonly p50: number;
	readonly p99: number;
	readonly conns: number;
	readonly resumed: number;
}

/** How often the resident size is looked at, milliseconds. */
const LOOK = 250;

/** The generator's command line for requests. */
export function generatorCommand(
	{ ruler, certificates, cores, requestBytes }: Bench,
	{ entrance }: Running,
	load: Omit<Load, 'kind'>,
): string[] {
	return [
		...['taskset', '-c', String(cores[1]), ruler.gen],
		...['-p', String(entrance.port), '-c', String(load.connections)],
		...['-d', String(load.seconds), '-w', String(load.warmUp)],
		...['-t', '-A', certificates.ca, '-C', certificates.agent.certificate, '-K', certificates.agent.key],
		...['-b', String(requestBytes), '-u', entrance.target, '-H', entrance.host],
	];
}

export async function drive(bench: Bench, running: Running, load: Load): Promise<Point> {
	const { cores } = bench;
	const { pid } = running;
	const [command = '', ...rest] = generatorCommand(bench, running, load);
	const generator = spawn(command, [...rest, ...FLAGS[load.kind]], { stdio: ['ignore', 'pipe', 'pipe'] });
	let complaints = '';
	generator.stderr.on('data', (chunk: Buffer) => {
		if (complaints.length < 2000) complaints += chunk.toString();
	});
	let looking: NodeJS.Timeout | undefined;
	let resident = 0;
	let begun: Reading | undefined;
	let ended: Reading | undefined;
	let said: Said | undefined;
	try {
		for await (const line of createInterface({ input: generator.stdout })) {
			if (line === 'MEASURE') {
				begun = reading(pid, cores[0]);
				looking = setInterval(() => {
					resident = Math.max(resident, residentBytes(pid));
				}, LOOK);
			} else if (line.startsWith('{')) {
				ended = reading(pid, cores[0]);
				resident = Math.max(resident, residentBytes(pid));
				said = JSON.parse(line) as Said;
			}
		}
	} finally {
		clearInterval(looking);
		if (generator.exitCode === null) generator.kill('SIGKILL');
	}
	if (begun === undefined || ended === undefined || said === undefined || said.reqs === 0) {
		throw new Error(`the generator measured nothing at ${load.connections} connections: ${complaints.trim()}`);
	}
	const cpu = ended.cpu - begun.cpu;
	const others = Math.max(0, ended.core - begun.core - cpu);
	return {
		kind: load.kind,
		resumed: said.conns > 0 ? Math.min(1, said.resumed / said.conns) : 0,
		connections: load.connections,
		requests: said.reqs,
		errors: said.errs,
		rate: said.rps,
		perCpuSecond: cpu > 0 ? said.reqs / cpu : 0,
		p50: said.p50,
		p99: said.p99,
		resident,
		disturbed: others / said.secs,
		window: [begun.time, ended.time],
	};
}

interface Reading {
	/** Microseconds. */
	readonly time: number;
	readonly cpu: number;
	readonly core: number;
}

const reading = (pid: number, core: number): Reading => ({
	cpu: cpuSeconds(pid),
	core: coreSeconds(core),
	time: Number(process.hrtime.bigint() / 1000n),
});
