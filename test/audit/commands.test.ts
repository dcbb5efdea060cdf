import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAudit } from '../../src/audit/audit.ts';
import { auditCommand } from '../../src/cli/audit.ts';
import {
	configOf,
	decision,
	denied,
	depsOf,
	type Held,
	linesOf,
	recorded,
	type ShownRecord,
	START,
	segmentsOf,
	temporary,
} from './fixture.ts';
import { signer } from './keys.ts';
import { until } from './until.ts';

interface Ran {
	readonly text: string;
	readonly errors: string;
	readonly status: number;
}

/** Runs `audit …` in this process. */
async function run(args: readonly string[], terminal = false, colour = false): Promise<Ran> {
	let text = '';
	let errors = '';
	const before = process.exitCode;
	process.exitCode = 0;
	const command = auditCommand({
		terminal,
		colour,
		write: async part => {
			text += part;
		},
		error: part => {
			errors += part;
		},
	});
	for (const inner of [command, ...command.commands]) {
		inner.exitOverride().configureOutput({
			writeErr: part => {
				errors += part;
			},
		});
	}
	let status = 0;
	try {
		await command.parseAsync(args, { from: 'user' });
		status = Number(process.exitCode ?? 0);
	} catch {
		status = 2;
	}
	process.exitCode = before;
	return { text, errors, status };
}

interface Printed extends ShownRecord {
	readonly decision: ShownRecord;
	readonly outcome?: ShownRecord;
	readonly openCount?: number;
	readonly fault?: unknown;
}

const lines = (text: string): Printed[] =>
	text
		.split('\n')
		.filter(line => line !== '')
		.map(line => JSON.parse(line) as Printed);

/** Two agents' calls of two days, in several segments. */
async function week(t: TestContext): Promise<string> {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const audit = await openAudit(configOf(directory), depsOf({ signer: signer() }, held));
	for (let day = 0; day < 3; day++) {
		for (let i = 0; i < 4; i++) {
			const id = `day${day}-${i}`;
			const record = i === 3 ? denied(id) : decision(id);
			await recorded(audit, { ...record, time: held.now });
			held.now += 1000;
			if (i < 2)
				audit.outcome({
					decisionId: id,
					cause: i === 0 ? 'completed' : 'upstream_timeout',
					durationMs: 12.5,
					status: 200,
				});
		}
		audit.refusedConnection({
			listener: 'egress',
			cause: 'identity_missing',
			detail: 'no certificate',
			remote: '127.0.0.1',
		});
		audit.control({ action: 'reload', operator: 'uid:0' });
		await audit.flush();
		held.now += 86_400_000;
		audit.rotate();
	}
	await audit.close();
	return directory;
}

test('query: by time, verdict, cause, agent, target and decision, joined with outcomes', async t => {
	const directory = await week(t);
	const ask = async (...args: string[]): Promise<string[]> => {
		const ran = await run(['query', '--directory', directory, ...args]);
		assert.equal(ran.status, 0, ran.errors);
		return lines(ran.text).map(({ decision: { decision_id }, outcome }) => `${decision_id} ${outcome?.cause ?? '-'}`);
	};
	assert.equal((await ask()).length, 12);
	assert.deepEqual(await ask('--time', '2026-03-04'), [
		'day1-0 completed',
		'day1-1 upstream_timeout',
		'day1-2 -',
		'day1-3 -',
	]);
	assert.deepEqual(await ask('--verdict', 'deny'), ['day0-3 -', 'day1-3 -', 'day2-3 -']);
	assert.deepEqual(await ask('--cause', 'upstream_timeout', '--limit', '1'), ['day2-1 upstream_timeout']);
	assert.deepEqual(await ask('--cause', 'no_rule', '--until', '2026-03-04'), ['day0-3 -']);
	assert.deepEqual(await ask('--since', '2026-03-05T10:00:10Z'), ['day2-2 -', 'day2-3 -']);
	assert.deepEqual(await ask('--decision', 'day1-1'), ['day1-1 upstream_timeout']);
	assert.equal((await ask('--agent', 'researcher')).length, 12);
	assert.equal((await ask('--agent', 'spiffe://example.org/agents/*')).length, 12);
	assert.equal((await ask('--agent', 'search')).length, 0);
	assert.equal((await ask('--target', 'crm')).length, 12);
	assert.equal((await ask('--target', 'crm.internal:443')).length, 12);
	assert.equal((await ask('--target', 'crm.internal:444')).length, 0);
	const limited = await run(['query', '--directory', directory, '--limit', '2']);
	assert.deepEqual(
		lines(limited.text).map(row => row.decision.decision_id),
		['day2-2', 'day2-3'],
	);
	assert.match(limited.errors, /10 earlier decisions are not shown/);
});

test('query: readable on a terminal; wrong usage is status 2, a missing folder 1', async t => {
	const directory = await week(t);
	const { text } = await run(['query', '--directory', directory, '--limit', '4'], true);
	assert.equal(
		text.split('\n')[0],
		'2026-03-05 10:00:08.000Z  allow    researcher  GET /contacts → crm  completed · 200 · 12.5 ms',
	);
	assert.match(text, /deny {5}researcher {2}GET \/contacts → crm {2}no_rule/);
	assert.equal((await run(['query', '--cause', 'nonsense'])).status, 2);
	assert.equal((await run(['query', '--time', 'tuesday'])).status, 2);
	assert.equal((await run(['query', '--verdict', 'maybe'])).status, 2);
	assert.equal((await run(['query', '--directory', join(directory, 'missing')])).status, 1);
});

test('tail: the last records as they are when piped, readable on a terminal', async t => {
	const directory = await week(t);
	const all = await linesOf(directory);
	const piped = await run(['tail', '--directory', directory, '-n', '25']);
	assert.deepEqual(piped.text.split('\n').slice(0, -1), all.slice(-25));
	assert.equal((await run(['tail', '--directory', directory, '-n', '0'])).text, '');
	assert.deepEqual((await run(['tail', '--directory', directory, '-n', '9999'])).text.split('\n').slice(0, -1), all);
	const { text } = await run(['tail', '--directory', directory, '-n', '9'], true);
	assert.match(text, /^10:00:09\.000 {2}allow {4}researcher {2}GET \/contacts → crm$/m);
	assert.match(
		text,
		/^10:00:10\.000 {2}done {5}researcher {2}GET \/contacts → crm · upstream_timeout · 200 · 12.5 ms$/m,
	);
	assert.match(text, /^10:00:12\.000 {2}refuse {3}egress from 127\.0\.0\.1: identity_missing, no certificate$/m);
	assert.match(text, /control {2}reload by uid:0/);
	assert.match(text, /checkpoint up to record \d+, signed/);
	assert.ok((await run(['tail', '--directory', directory, '-n', '9'], true, true)).text.includes('\u001b[32mallow'));
	assert.ok(!text.includes('\u001b'));
});

test('tail -f goes on over the end of a segment', async t => {
	const directory = await temporary(t);
	const audit = await openAudit(configOf(directory), depsOf());
	t.after(() => audit.close(0));
	await recorded(audit, decision('before'));
	let text = '';
	const output = {
		terminal: false,
		colour: false,
		error: () => {},
		write: async (part: string) => {
			text += part;
		},
	};
	const following = auditCommand(output).parseAsync(['tail', '--directory', directory, '-f', '-n', '1'], {
		from: 'user',
	});
	await until(() => text.includes('"before"'));
	await recorded(audit, decision('during'));
	await until(() => text.includes('"during"'));
	audit.rotate();
	await recorded(audit, decision('after'));
	await until(() => text.includes('"after"'));
	process.emit('SIGTERM');
	await following;
	assert.deepEqual(
		lines(text).map(({ seq }) => seq),
		[2, 3, 4, 5],
	);
});

test('what agents wrote cannot act on the terminal', async t => {
	const directory = await temporary(t);
	const audit = await openAudit(configOf(directory), depsOf());
	const resource = '/\u001b]0;owned\u0007\u202e\r\n\u009b2J';
	await recorded(audit, decision('d', { call: { protocol: 'http', operation: 'GET', resource, effect: 'read' } }));
	await audit.close();
	for (const command of ['tail', 'query']) {
		const { text } = await run([command, '--directory', directory], true);
		assert.ok(text.includes('\\u001b]0;owned\\u0007\\u202e\\u000d\\u000a\\u009b2J'), text);
		for (const char of ['\u001b', '\u0007', '\u202e', '\r', '\u009b']) assert.ok(!text.includes(char));
	}
});

test('verify: says what is proven by what, status 0; names the first broken line, status 1', async t => {
	const directory = await week(t);
	const held = join(await temporary(t), 'held.jsonl');
	await writeFile(
		held,
		`${(await linesOf(directory))
			.filter(line => line.includes('"type":"checkpoint"'))
			.slice(0, 2)
			.join('\n')}\n`,
	);

	const alone = await run(['verify', '--directory', directory]);
	assert.equal(alone.status, 0);
	assert.match(alone.text, /^whole: records 1 to \d+ of chain/);
	assert.match(alone.text, /signed up to record \d+ .*not checked whose/);
	assert.match(alone.text, /found only with --against/);
	assert.match(alone.text, /3 permitted calls have no outcome/);
	assert.match(alone.text, / {2}day0-2/);

	const against = await run(['verify', '--directory', directory, '--against', held]);
	assert.equal(against.status, 0);
	assert.match(against.text, /proven up to record \d+: a checkpoint held elsewhere says the same/);

	const json = lines((await run(['verify', '--directory', directory, '--json'])).text)[0];
	assert.equal(json?.fault, undefined);
	assert.equal(json?.openCount, 3);

	const name = (await segmentsOf(directory))[1] ?? '';
	const path = join(directory, name);
	await writeFile(path, (await readFile(path, 'utf8')).replace('"verdict":"deny"', '"verdict":"allow"'));
	const broken = await run(['verify', '--directory', directory]);
	assert.equal(broken.status, 1);
	assert.match(broken.text, new RegExp(`^BROKEN at record \\d+, ${name} line 7: it does not follow`));
});

test('verify: a record in two pieces at the end is a fault, and no directory is a failure', async t => {
	const directory = await week(t);
	await appendFile(join(directory, (await segmentsOf(directory)).at(-1) ?? ''), '{"type":');
	const torn = await run(['verify', '--directory', directory]);
	assert.equal(torn.status, 1);
	assert.match(torn.text, /8 bytes that are no whole record/);
	assert.equal((await run(['verify', '--directory', join(directory, 'missing')])).status, 1);
	assert.equal((await run(['verify', '--directory', directory, '--signer', 'spiffe://x/y'])).status, 2);
});
