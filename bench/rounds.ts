import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Candidate, Running } from './candidate.ts';
import { type Bench, drive, type Kind, type Point } from './load.ts';

/** One series: candidates that are measured in turn at each number of connections, round after round. */
export interface Series {
	readonly candidates: readonly Candidate[];
	readonly connections: readonly number[];
	/** What is measured at each number of connections, in turn. */
	readonly kinds: readonly Kind[];
	readonly rounds: number;
	/** Seconds that one point is measured, and seconds of load before that. */
	readonly seconds: number;
	readonly warmUp: number;
	/** Seconds of load that a candidate gets after its start, before anything is measured. */
	readonly heat: number;
}

/** Points of one candidate, by round. */
export interface Measured {
	readonly name: string;
	readonly rounds: readonly (readonly Point[])[];
}

export interface RunSeries {
	readonly bench: Bench;
	readonly upstreamPort: number;
	say(line: string): void;
}

/**
 * Runs a series. In each round every candidate is started anew and heated; then, at each number of connections, they
 * are measured one right after the other, each round beginning with another one. Rejects when a candidate fails, or
 * when its work turns out to be wrong.
 */
export async function runSeries(series: Series, { bench, upstreamPort, say }: RunSeries): Promise<Measured[]> {
	const measured = series.candidates.map(({ name }) => ({ name, rounds: [] as Point[][] }));
	for (let round = 0; round < series.rounds; round++) {
		const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
		const started: Started[] = [];
		try {
			for (const [index, candidate] of series.candidates.entries()) {
				const own = await mkdtemp(join(folder, `${candidate.name}-`));
				const running = await candidate.start({
					certificates: bench.certificates,
					upstreamPort,
					folder: own,
					core: bench.cores[0],
				});
				const points: Point[] = [];
				measured[index]?.rounds.push(points);
				started.push({ candidate, running, points, requests: 0 });
			}
			for (const one of started) {
				const most = Math.max(...series.connections);
				for (const kind of series.kinds)
					await measure(one, bench, { kind, connections: most, seconds: series.heat, warmUp: 0 });
			}
			for (const { kind, connections } of pointsOf(series)) {
				for (const one of rotated(started, round)) {
					const point = await measure(one, bench, {
						kind,
						connections,
						seconds: series.seconds,
						warmUp: series.warmUp,
					});
					one.points.push(point);
					say(
						`round ${round + 1}/${series.rounds}  ${one.candidate.name}  ${kind === 'requests' ? '' : `${kind}, `}${connections} connections: ` +
							`${Math.round(point.perCpuSecond)}/CPU-s, p50 ${point.p50} us, p99 ${point.p99} us` +
							(point.disturbed > 0.05 ? `  (others used ${Math.round(point.disturbed * 100)} % of the core)` : ''),
					);
				}
			}
			for (const one of started.splice(0)) {
				const wrong = await one.running.stop(one.requests);
				if (wrong !== undefined) throw new Error(`${one.candidate.name}: ${wrong}`);
			}
		} finally {
			for (const one of started) await one.running.stop(0).catch(() => undefined);
			await rm(folder, { recursive: true, force: true });
		}
	}
	return measured;
}

interface Started {
	readonly candidate: Candidate;
	readonly running: Running;
	readonly points: Point[];
	requests: number;
}

async function measure(
	one: Started,
	bench: Bench,
	load: { readonly kind: Kind; readonly connections: number; readonly seconds: number; readonly warmUp: number },
): Promise<Point> {
	const point = await drive(bench, one.running, load);
	if (load.kind === 'requests') one.requests += point.requests;
	if (point.errors > 0) {
		throw new Error(`${one.candidate.name} failed ${point.errors} ${load.kind} at ${load.connections} connections`);
	}
	return point;
}

const pointsOf = ({ kinds, connections }: Series): { kind: Kind; connections: number }[] =>
	kinds.flatMap(kind => connections.map(number => ({ kind, connections: number })));

function rotated<One>(all: readonly One[], by: number): One[] {
	const from = by % all.length;
	return [...all.slice(from), ...all.slice(0, from)];
}
