import type { Kind, Point } from './load.ts';
import { median } from './median.ts';
import type { Result } from './result.ts';
import type { Measured } from './rounds.ts';

/** Medians over rounds, and what they are held against. */

/** One candidate at one number of connections. */
export interface Row {
	readonly name: string;
	readonly connections: number;
	readonly perCpuSecond: number;
	readonly rate: number;
	/** Microseconds. */
	readonly p50: number;
	readonly p99: number;
	/** Share of the connections that resumed a session. */
	readonly resumed: number;
	/** Bytes. */
	readonly resident: number;
	/** The worst round's. */
	readonly disturbed: number;
}

export interface Target {
	readonly what: string;
	readonly aim: string;
	/** Undefined when a candidate that it needs was left out. */
	readonly measured?: string;
	readonly met?: boolean;
}

/** What the project wants to reach, and in which terms. */
export const AIMS = {
	/** 10,000 requests per CPU-second where Envoy without a policy shows 14,600. */
	perCpuSecondOfEnvoy: 10_000 / 14_600,
	connections: 64,
	p50OfEnvoy: 1.5,
	resident: 100 * 1000 * 1000,
	grants: 0.1,
	/** Full handshakes per CPU-second. */
	handshakesOfHaproxy: 0.9,
	/** Milliseconds from the start to ready. */
	ready: 500,
	/** Bytes, when nobody calls. */
	idle: 70 * 1000 * 1000,
	/** Microseconds, while a bundle comes into force. */
	activation: 20_000,
} as const;

/** Connections of the generator's that shake hands at once. */
export const HANDSHAKE_CONNECTIONS = 16;

/** What was measured of one kind. */
export const ofKind = (measured: readonly Measured[], kind: Kind): Measured[] =>
	measured.map(({ name, rounds }) => ({
		name,
		rounds: rounds.map(points => points.filter(point => point.kind === kind)),
	}));

export function rowsOf(measured: readonly Measured[]): Row[] {
	const rows: Row[] = [];
	for (const { name, rounds } of measured) {
		const points = rounds.flat();
		for (const connections of new Set(points.map(point => point.connections))) {
			const these = points.filter(point => point.connections === connections);
			const of = (what: (point: Point) => number): number => median(these.map(what));
			rows.push({
				name,
				connections,
				perCpuSecond: of(point => point.perCpuSecond),
				rate: of(point => point.rate),
				p50: of(point => point.p50),
				p99: of(point => point.p99),
				resumed: of(point => point.resumed),
				resident: of(point => point.resident),
				disturbed: Math.max(...these.map(point => point.disturbed)),
			});
		}
	}
	return rows;
}

/** Median of what one candidate's rounds are to another's of the same round: drift over the run cancels out. */
export function ratio(
	measured: readonly Measured[],
	[one, other]: readonly [string, string],
	connections: number,
	what: (point: Point) => number,
): number | undefined {
	/** By round. */
	const valuesOf = (name: string): number[] =>
		measured
			.find(candidate => candidate.name === name)
			?.rounds.map(points => median(points.filter(point => point.connections === connections).map(what))) ?? [];
	const others = valuesOf(other);
	const ratios: number[] = [];
	for (const [round, value] of valuesOf(one).entries()) {
		const against = others[round];
		if (against !== undefined && !Number.isNaN(value / against)) ratios.push(value / against);
	}
	return ratios.length === 0 ? undefined : median(ratios);
}

export function targetsOf({ peers, grants, handshakes, ...alone }: Result): Target[] {
	const { connections } = AIMS;
	const cpu = ratio(peers, ['sallyport', 'envoy'], connections, point => point.perCpuSecond);
	const p50 = ratio(peers, ['sallyport', 'envoy'], 1, point => point.p50);
	const rows = rowsOf(peers).filter(row => row.name === 'sallyport' && row.connections === connections);
	const resident = rows[0]?.resident;
	const spread = grantsSpread(grants);
	const full = ratio(
		ofKind(handshakes, 'full handshakes'),
		['sallyport', 'haproxy'],
		HANDSHAKE_CONNECTIONS,
		point => point.perCpuSecond,
	);
	return [
		{
			what: `requests per CPU-second at ${connections} connections, of Envoy's without a policy`,
			aim: `at least ${AIMS.perCpuSecondOfEnvoy.toFixed(2)}`,
			...(cpu === undefined ? {} : { measured: cpu.toFixed(2), met: cpu >= AIMS.perCpuSecondOfEnvoy }),
		},
		{
			what: "p50 at 1 connection, of Envoy's",
			aim: `at most ${AIMS.p50OfEnvoy.toFixed(2)}`,
			...(p50 === undefined ? {} : { measured: p50.toFixed(2), met: p50 <= AIMS.p50OfEnvoy }),
		},
		{
			what: `resident memory at ${connections} connections`,
			aim: `at most ${AIMS.resident / 1e6} MB`,
			...(resident === undefined
				? {}
				: { measured: `${(resident / 1e6).toFixed(0)} MB`, met: resident <= AIMS.resident }),
		},
		{
			what: 'cost of a request, from the fewest grants to the most',
			aim: `changes by less than ${AIMS.grants * 100} %`,
			...(spread === undefined ? {} : { measured: `${signed(spread * 100)} %`, met: Math.abs(spread) < AIMS.grants }),
		},
		{
			what: "full handshakes per CPU-second, of haproxy's",
			aim: `at least ${AIMS.handshakesOfHaproxy.toFixed(2)}`,
			...(full === undefined ? {} : { measured: full.toFixed(2), met: full >= AIMS.handshakesOfHaproxy }),
		},
		...ownTargets(alone),
	];
}

/** Of what is measured of Sallyport alone. */
function ownTargets({ startUp, activation }: Pick<Result, 'startUp' | 'activation'>): Target[] {
	const most = (what: string, value: number | undefined, aim: number, unit: string, per: number): Target => ({
		what,
		aim: `at most ${aim / per} ${unit}`,
		...(value === undefined
			? {}
			: { measured: `${(value / per).toFixed(per === 1 ? 0 : 1)} ${unit}`, met: value <= aim }),
	});
	const p99s = activation.map(({ during }) => during.p99);
	const p99 = p99s.length === 0 ? undefined : Math.max(...p99s);
	return [
		most('from start to ready', startUp && median(startUp.ready), AIMS.ready, 'ms', 1),
		most('resident memory at idle', startUp?.resident, AIMS.idle, 'MB', 1e6),
		most('p99 while a bundle of 1 or 10 MB comes into force', p99, AIMS.activation, 'ms', 1000),
	];
}

/** By how much the cost with more grants differs most from that with the fewest; 0.05 is 5 % dearer. */
function grantsSpread(grants: readonly Measured[]): number | undefined {
	const [fewest, ...more] = grants;
	let worst: number | undefined;
	for (const { name } of more) {
		const cost = ratio(grants, [fewest?.name ?? '', name], AIMS.connections, point => point.perCpuSecond);
		if (cost !== undefined && (worst === undefined || Math.abs(cost - 1) > Math.abs(worst))) worst = cost - 1;
	}
	return worst;
}

const signed = (value: number): string => `${value >= 0 ? '+' : ''}${value.toFixed(1)}`;
