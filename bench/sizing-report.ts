import type { Activation } from './activation.ts';
import { median } from './median.ts';
import type { Memory } from './memory.ts';
import type { StartUp } from './start-up.ts';
import { table } from './table.ts';

/** Tables of what is measured of Sallyport alone. */

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
const milliseconds = (microseconds: number): string => (microseconds / 1000).toFixed(1);
const times = (values: readonly number[]): string[] => [
	`${median(values).toFixed(0)} ms`,
	`${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`,
];

export const startUpTable = ({ ready, readyOnOne, resident, anonymous, after }: StartUp): string =>
	table(
		['what', 'median', 'range'],
		[
			['from start to ready, all cores', ...times(ready)],
			['from start to ready, one core', ...times(readyOnOne)],
			[`resident ${after} s after ready`, `${megabytes(resident)} MB`, ''],
			['of it in no file', `${megabytes(anonymous)} MB`, ''],
		],
	);

export const memoryTable = (memory: Memory): string => {
	const { before, agents, afterAgents, afterTwice, connections, afterConnections } = memory;
	const each = (bytes: number, count: number): string => `${(bytes / count / 1000).toFixed(1)} kB`;
	return table(
		['state', 'RSS MB', 'each'],
		[
			['after load, nobody connected', megabytes(before), ''],
			[`${agents} agents called once and left`, megabytes(afterAgents), each(afterAgents - before, agents)],
			[`${agents} others did`, megabytes(afterTwice), each(afterTwice - afterAgents, agents)],
			[
				`${connections} connections idle`,
				megabytes(afterConnections),
				each(afterConnections - afterTwice, connections),
			],
		],
	);
};

export const activationTable = (activations: readonly Activation[]): string =>
	table(
		[
			'data MB',
			'requests/s',
			'in force ms',
			'p50 ms',
			'p99 ms',
			'max ms',
			'p99 beside',
			'max beside',
			'RSS MB',
			'peak MB',
		],
		activations.map(({ data, rate, took, during, beside, resident, peak }) => [
			(data / 1e6).toFixed(0),
			rate.toLocaleString('en'),
			took.toFixed(0),
			...[during.p50, during.p99, during.max, beside.p99, beside.max].map(milliseconds),
			megabytes(resident),
			megabytes(peak),
		]),
	);
