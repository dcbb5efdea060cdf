import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Audit, openAudit } from '../../src/audit/audit.ts';
import { SINKS } from '../../src/audit/sinks/registry.ts';
import type { SinkConfig } from '../../src/audit/sinks/sink.ts';
import { startCentral } from '../sinks/central.ts';
import { startCollector } from '../sinks/collector.ts';
import { openStream } from '../sinks/stream.ts';
import { findNats, NO_NATS, startNats } from '../support/nats.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { configOf, decision, depsOf, linesOf, recorded, segmentsOf, temporary } from './fixture.ts';
import { until } from './until.ts';

/** How each kind of sink is set up for the contract, and how what arrived is read. */
interface Subject {
	config(types?: string[]): SinkConfig;
	readonly stdout: number;
	lines(): Promise<string[]>;
}

/** What goes to a server at once. */
const BATCH = { bytes: 32 * 1024, age: 50 };

const SUBJECTS: Readonly<Record<string, (t: TestContext, folder: string) => Subject | Promise<Subject | undefined>>> = {
	file(_, folder) {
		const path = join(folder, 'copy.jsonl');
		return {
			config: types => ({ file: { path, ...(types === undefined ? {} : { types }) } }),
			stdout: 1,
			lines: () => read(path),
		};
	},
	async http(t) {
		const central = await startCentral(t);
		const settings = { url: central.url, present_svid: false, batch: BATCH, rate: 2 ** 30, timeout: 5000 };
		return {
			config: types => ({ http: { ...settings, ...(types === undefined ? {} : { types }) } }),
			stdout: 1,
			lines: async () => central.lines(),
		};
	},
	async otlp(t) {
		const collector = await startCollector(t);
		const settings = { url: collector.url, present_svid: false, batch: BATCH, rate: 2 ** 30, timeout: 5000 };
		return {
			config: types => ({ otlp: { ...settings, ...(types === undefined ? {} : { types }) } }),
			stdout: 1,
			lines: async () => collector.logs().map(({ body }) => body),
		};
	},
	async nats(t) {
		const server = findNats();
		if (server === undefined) return undefined;
		const { port } = await startNats(t, makeWorkspace(t), server);
		const stream = await openStream(t, port);
		return {
			config: types => ({
				nats: {
					servers: [`nats://127.0.0.1:${port}`],
					subject: 'sallyport.audit',
					present_svid: false,
					batch: { age: 50 },
					rate: 2 ** 30,
					timeout: 5000,
					...(types === undefined ? {} : { types }),
				},
			}),
			stdout: 1,
			lines: () => stream.lines(),
		};
	},
	stdout(t, folder) {
		const path = join(folder, 'stdout.jsonl');
		const stdout = openSync(path, 'a');
		t.after(() => closeSync(stdout));
		return {
			config: types => ({ stdout: types === undefined ? {} : { types } }),
			stdout,
			lines: () => read(path),
		};
	},
};

async function read(path: string): Promise<string[]> {
	try {
		return (await readFile(path, 'utf8')).split('\n').filter(line => line !== '');
	} catch {
		return [];
	}
}

async function some(audit: Audit, prefix: string, count: number): Promise<void> {
	for (let i = 0; i < count; i++) await recorded(audit, decision(`${prefix}${i}`));
	audit.outcome({ decisionId: `${prefix}0`, cause: 'completed', durationMs: 1 });
}

test('every kind of sink is under the contract', () => {
	assert.deepEqual(SINKS.map(({ name }) => name).sort(), Object.keys(SUBJECTS).sort());
});

for (const kind of SINKS) {
	const make = SUBJECTS[kind.name];
	if (make === undefined) continue;

	test(`${kind.name}: every record arrives, in order, over ends of segments and restarts`, async t => {
		const directory = await temporary(t);
		const subject = await make(t, await temporary(t));
		if (subject === undefined) return t.skip(NO_NATS);
		const config = configOf(directory, { sinks: [subject.config()], segment: { size: 4000, age: 1e9 } });
		for (let run = 0; run < 3; run++) {
			const audit = await openAudit(config, depsOf({ stdout: subject.stdout }));
			await some(audit, `r${run}-`, 12);
			await audit.close();
		}
		assert.ok((await segmentsOf(directory)).length > 4);
		assert.deepEqual(await subject.lines(), await linesOf(directory));
	});

	test(`${kind.name}: while running, without a close`, async t => {
		const directory = await temporary(t);
		const subject = await make(t, await temporary(t));
		if (subject === undefined) return t.skip(NO_NATS);
		const audit = await openAudit(
			configOf(directory, { sinks: [subject.config()] }),
			depsOf({ stdout: subject.stdout }),
		);
		t.after(() => audit.close(0));
		await some(audit, 'a', 3);
		await until(async () => (await subject.lines()).length === 5);
		await some(audit, 'b', 1);
		await until(async () => (await subject.lines()).length === 7);
		await until(() => audit.status().sinks[0]?.behind === 0);
		assert.equal(audit.status().sinks[0]?.seq, 7);
	});

	test(`${kind.name}: types are chosen, checkpoints always come`, async t => {
		const directory = await temporary(t);
		const subject = await make(t, await temporary(t));
		if (subject === undefined) return t.skip(NO_NATS);
		const config = configOf(directory, { sinks: [subject.config(['outcome'])] });
		const audit = await openAudit(config, depsOf({ stdout: subject.stdout }));
		await some(audit, 'a', 3);
		await audit.close();
		const types = (await subject.lines()).map(line => (JSON.parse(line) as { type: string }).type);
		assert.deepEqual(types, ['outcome', 'checkpoint']);
	});
}

test('an unknown type, and the same sink twice, are refused at the start', async t => {
	const directory = await temporary(t);
	await assert.rejects(
		openAudit(configOf(directory, { sinks: [{ stdout: { types: ['decisions'] } }] }), depsOf()),
		/no record type "decisions"/,
	);
	await assert.rejects(openAudit(configOf(directory, { sinks: [{ stdout: {} }, { stdout: {} }] }), depsOf()), /twice/);
	const audit = await openAudit(configOf(directory), depsOf());
	await audit.close();
});

test('file: a torn line of a killed run is cut off, a moved file is begun anew', async t => {
	const directory = await temporary(t);
	const folder = await temporary(t);
	const path = join(folder, 'copy.jsonl');
	await writeFile(path, '{"an":"older line"}\n{"torn":');
	const audit = await openAudit(configOf(directory, { sinks: [{ file: { path } }] }), depsOf());
	t.after(() => audit.close(0));
	await recorded(audit, decision('a'));
	await until(async () => (await read(path)).length === 3);
	assert.equal((await read(path))[0], '{"an":"older line"}');
	await rename(path, `${path}.1`);
	await recorded(audit, decision('b'));
	await until(async () => (await read(path)).length === 1);
	assert.equal((await read(`${path}.1`)).length, 3);
	await audit.close();
	assert.deepEqual([...(await read(`${path}.1`)).slice(1), ...(await read(path))], await linesOf(directory));
});

test('a sink that fails stops nobody, is visible, and gets everything later', async t => {
	const directory = await temporary(t);
	const folder = await temporary(t);
	const path = join(folder, 'not-yet', 'copy.jsonl');
	const unsent: (number | undefined)[] = [];
	const metrics = {
		...depsOf().metrics,
		oldestUnsent: (_: string, time: number | undefined) => void unsent.push(time),
	};
	const messages: string[] = [];
	const config = configOf(directory, { sinks: [{ file: { path } }], retain: 0, segment: { size: 3000, age: 1e9 } });
	const audit = await openAudit(config, depsOf({ metrics, log: (_, message) => messages.push(message) }));
	t.after(() => audit.close(0));
	await some(audit, 'a', 10);
	await until(() => audit.status().sinks[0]?.error === 'ENOENT');
	assert.ok((audit.status().sinks[0]?.behind ?? 0) > 0);
	// Nothing that it lacks is deleted, however old.
	await audit.maintain();
	assert.equal((await linesOf(directory))[0]?.includes('"seq":1,'), true);
	const { mkdir } = await import('node:fs/promises');
	await mkdir(join(folder, 'not-yet'));
	await until(() => audit.status().sinks[0]?.behind === 0);
	assert.equal(audit.status().sinks[0]?.error, undefined);
	assert.deepEqual(await read(path), await linesOf(directory));
	assert.ok(messages.includes('the audit sink takes no records'));
	assert.equal(unsent.at(-1), undefined);
	await audit.maintain();
	assert.equal((await linesOf(directory))[0]?.includes('"seq":1,'), false);
});

test('what was delivered but not noted comes again: at least once', async t => {
	const directory = await temporary(t);
	const path = join(await temporary(t), 'copy.jsonl');
	const config = configOf(directory, { sinks: [{ file: { path } }] });
	const first = await openAudit(config, depsOf());
	await recorded(first, decision('a'));
	await first.close();
	await writeFile(join(directory, 'sinks.json'), '{"broken');
	const second = await openAudit(config, depsOf());
	await second.close();
	const all = await read(path);
	assert.deepEqual(new Set(all), new Set(await linesOf(directory)));
	assert.ok(all.length > new Set(all).size);
});
