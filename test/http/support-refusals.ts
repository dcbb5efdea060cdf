import assert from 'node:assert/strict';
import type { AuditRecord } from '../support/records.ts';
import { until } from '../support/until.ts';
import type { Stage } from './support-stage.ts';

/** Bytes that must be refused, and how. */
export interface Hostile {
	readonly name: string;
	readonly bytes: string | Buffer;
	readonly status: number;
	readonly cause: string;
	/** What the record says beside the cause. */
	readonly detail: RegExp;
}

/** What a record says of a refusal, whether a call was refused or a connection. */
export const refusalsOf = (records: readonly AuditRecord[]): readonly AuditRecord[] =>
	records.filter(record => (record.type === 'decision' || record['event'] === 'refused') && record.cause !== undefined);

const count = (records: readonly AuditRecord[], { cause, detail }: Hostile): number =>
	refusalsOf(records)
		.filter(record => record.cause === cause && detail.test(String(record['detail'] ?? '')))
		.reduce((sum, record) => sum + (record.type === 'decision' ? 1 : 0), 0);

const coalesced = (records: readonly AuditRecord[], { cause, detail }: Hostile): boolean =>
	records.some(
		record => record['event'] === 'refused' && record.cause === cause && detail.test(String(record['detail'] ?? '')),
	);

/** Sends each on a connection of its own: refused in words, recorded, nothing reaches the upstream. */
export async function refusesEach(
	stage: Stage,
	hostile: readonly Hostile[],
	options: { readonly listener?: string } = {},
): Promise<void> {
	const wrong: string[] = [];
	for (const one of hostile) {
		await refuses(stage, one, options).catch((error: Error) => wrong.push(`${one.name}: ${error.message}`));
	}
	assert.deepEqual(wrong, []);
}

async function refuses(stage: Stage, one: Hostile, options: { readonly listener?: string }): Promise<void> {
	const { seen, connections } = stage.tool;
	const before = { seen: seen.length, connections: connections(), recorded: count(stage.sallyport.records(), one) };
	const wire = await stage.wire(options);
	wire.send(one.bytes);
	const answer = await wire.receives('\r\n\r\n');
	assert.ok(answer.startsWith(`HTTP/1.1 ${one.status} `), answer.split('\r\n', 1)[0]);
	assert.equal(answer.match(/^HTTP\/1\.1 /gm)?.length, 1, 'one answer');
	wire.socket.destroy();
	const told = (): boolean => {
		const records = stage.sallyport.records();
		return count(records, one) === before.recorded + 1 || coalesced(records, one);
	};
	await until(
		told,
		`a record of ${one.cause} (${one.detail}); ${JSON.stringify(refusalsOf(stage.sallyport.records()).at(-1))}`,
		3000,
	);
	assert.equal(seen.length, before.seen, 'the upstream saw a request');
	assert.equal(connections(), before.connections, 'the upstream saw a connection');
}
