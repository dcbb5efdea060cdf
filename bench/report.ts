import type { Result } from './result.ts';
import type { Measured } from './rounds.ts';
import { activationTable, memoryTable, startUpTable } from './sizing-report.ts';
import { AIMS, HANDSHAKE_CONNECTIONS, ofKind, type Row, rowsOf, type Target, targetsOf } from './summary.ts';
import { table } from './table.ts';

/** A table for a terminal and for Markdown alike. */
export function report(result: Result): string {
	const { machine, method } = result;
	const parts = [
		`# Bench of ${result.date.slice(0, 10)}, ${result.commit}${result.changed ? ' with changes' : ''}`,
		`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}. ` +
			`Mutual TLS in, plain HTTP/1.1 out, ${method.request_bytes} B sent, ${method.reply_bytes} B answered. The proxy alone on one core, ` +
			`generator and upstream on the other; ${method.rounds} interleaved rounds of ${method.seconds} s a point; medians. ` +
			'Figures move by 15 to 30 % from hour to hour: compare within this table only.',
		...result.missing,
	];
	if (result.candidates.length > 0) {
		parts.push(result.candidates.map(({ name, what, version }) => `- ${name} ${version}: ${what}.`).join('\n'));
	}
	if (result.peers.length > 0) parts.push('## Beside its peers', table(PEER_HEAD, peerRows(result.peers)));
	if (result.grants.length > 0) {
		parts.push(`## By number of grants, ${AIMS.connections} connections`, table(GRANT_HEAD, grantRows(result.grants)));
	}
	if (result.handshakes.length > 0) {
		parts.push(
			`## Handshakes of mutual TLS 1.3, ${HANDSHAKE_CONNECTIONS} at once`,
			table(HANDSHAKE_HEAD, handshakeRows(result.handshakes)),
		);
	}
	if (result.startUp !== undefined) parts.push('## Start and idle', startUpTable(result.startUp));
	if (result.memory !== undefined) parts.push('## Memory of agents and connections', memoryTable(result.memory));
	if (result.activation.length > 0)
		parts.push(`## Bundles that come into force, ${AIMS.connections} connections`, activationTable(result.activation));
	parts.push('## Aims', table(['aim', 'wanted', 'measured', 'result'], targetsOf(result).map(targetCells)));
	const disturbed = Math.max(
		0,
		...rowsOf([...result.peers, ...result.grants, ...result.handshakes]).map(row => row.disturbed),
		...result.activation.map(({ disturbed }) => disturbed),
	);
	if (disturbed > 0.05) {
		parts.push(
			`Other programs used up to ${Math.round(disturbed * 100)} % of the proxy's core while it was measured: latencies are worse than they would be alone.`,
		);
	}
	return `${parts.join('\n\n')}\n`;
}

const PEER_HEAD = [
	'candidate',
	'connections',
	'requests/CPU-s',
	'CPU us/request',
	'requests/s',
	'p50 us',
	'p99 us',
	'RSS MB',
];

function peerRows(peers: readonly Measured[]): string[][] {
	return rowsOf(peers)
		.sort((a, b) => a.connections - b.connections)
		.map(row => [
			row.name,
			String(row.connections),
			...cost(row),
			count(row.rate),
			count(row.p50),
			count(row.p99),
			megabytes(row.resident),
		]);
}

const GRANT_HEAD = ['policy', 'requests/CPU-s', 'CPU us/request', 'p50 us', 'RSS MB'];

function grantRows(grants: readonly Measured[]): string[][] {
	return rowsOf(grants).map(row => [row.name, ...cost(row), count(row.p50), megabytes(row.resident)]);
}

const HANDSHAKE_HEAD = ['candidate', 'handshakes', 'resumed', 'per CPU-s', 'CPU us each', 'p50 us', 'p99 us'];

function handshakeRows(handshakes: readonly Measured[]): string[][] {
	return (['full', 'resumed'] as const).flatMap(which =>
		rowsOf(ofKind(handshakes, `${which} handshakes`)).map(row => [
			row.name,
			which,
			`${Math.round(row.resumed * 100)} %`,
			...cost(row),
			count(row.p50),
			count(row.p99),
		]),
	);
}

function targetCells({ what, aim, measured, met }: Target): string[] {
	return [what, aim, measured ?? 'not measured', met === undefined ? '' : met ? 'met' : 'missed'];
}

const cost = ({ perCpuSecond }: Row): [string, string] => [count(perCpuSecond), (1e6 / perCpuSecond).toFixed(1)];
const count = (value: number): string => Math.round(value).toLocaleString('en');
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
