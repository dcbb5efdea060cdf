import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CLIENTS, WAYS, type Way } from './matrix.ts';
import { AGENT, type ClientStage, openStage, recordOf, runClient } from './stage.ts';

export const programOf = (name: string): string => fileURLToPath(new URL(`programs/${name}`, import.meta.url));

export interface Command {
	readonly words: readonly string[];
	readonly env?: NodeJS.ProcessEnv;
}

const AUTHENTICATION = { mtls: 'mtls', token: 'token', socket: 'as', exec: 'token' } as const;

/** Holds every `yes` and every `no` of one client against the real one. */
export async function checkClient(
	t: TestContext,
	name: keyof typeof CLIENTS,
	command: (way: Way, stage: ClientStage) => Command,
): Promise<void> {
	const stage = await openStage(t);
	const { cells } = CLIENTS[name];
	for (const way of WAYS) {
		const cell = cells[way];
		if (cell.can === 'none') continue;
		await t.test(`${way}: ${cell.can}`, async () => {
			const from = stage.sallyport.records().at(-1)?.seq ?? 0;
			const upstream = way.endsWith('connect') ? stage.api : stage.crm;
			const before = upstream.seen.length;
			const { words, env } = command(way, stage);
			const said = await runClient(stage, way, words, env);
			if (cell.can === 'no') {
				assert.equal(said.status, undefined);
				assert.match(said.error ?? '', cell.fails);
				assert.equal(upstream.seen.length, before);
				return;
			}
			assert.deepEqual(said, { status: 200, body: 'hello' });
			const record = await recordOf(stage, way, from);
			const [kind = ''] = way.replace('door_', '').split('_');
			assert.equal(record['verdict'], 'allow');
			assert.equal(record['agent'], AGENT);
			assert.equal(record['authentication'], AUTHENTICATION[kind as keyof typeof AUTHENTICATION]);
			assert.equal(record['phase'], way.endsWith('connect') ? 'sallyport/connect' : 'sallyport/request');
			assert.equal(upstream.seen.length, before + 1);
			// What opens the way ends at Sallyport.
			const { rawHeaders } = upstream.seen[before] ?? { rawHeaders: [] };
			assert.deepEqual(
				rawHeaders.filter(text => /^(proxy-)?authorization$/i.test(text)),
				[],
			);
		});
	}
}
