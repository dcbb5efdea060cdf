import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './until.ts';

/** A record as it stands in the chain. */
export type AuditRecord = Readonly<Record<string, unknown>> & {
	readonly type: string;
	readonly seq: number;
	readonly cause?: string;
	readonly decision_id?: string;
	readonly call?: Readonly<Record<string, unknown>>;
};

/** Every whole line of the chain in the directory, in order; a torn last line is left out. */
export function readRecordLines(directory: string): string[] {
	if (!existsSync(directory)) return [];
	return readdirSync(directory)
		.filter(name => /^\d{16}\.jsonl$/.test(name))
		.sort()
		.flatMap(name => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1));
}

export const readRecords = (directory: string): AuditRecord[] =>
	readRecordLines(directory).map(line => JSON.parse(line) as AuditRecord);

/** Waits for the first record that fits. */
export const waitForRecord = (
	directory: string,
	fits: (record: AuditRecord) => boolean,
	what: string,
): Promise<AuditRecord> => until(() => readRecords(directory).find(fits), `a record: ${what}`);
