import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAudit } from '../../src/audit/audit.ts';
import { auditCommand } from '../../src/cli/audit.ts';
import { run } from './command.ts';
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

interface Printed extends ShownRecord {
	readonly decision?: ShownRecord;
	readonly outcome?: ShownRecord;
	readonly session?: ShownRecord;
	readonly whole?: boolean;
	readonly open_count?: number;
	readonly signed?: { readonly key_id: string };
	readonly gaps?: readonly unknown[];
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
		return lines(ran.text).map(({ decision, outcome, session }) =>
			session === undefined ? `${decision?.decision_id} ${outcome?.cause ?? '-'}` : `session ${session.cause}`,
		);
	};
	assert.equal((await ask()).length, 15);
	assert.deepEqual(await ask('--time', '2026-03-04'), [
		'day1-0 completed',
		'day1-1 upstream_timeout',
		'day1-2 -',
		'day1-3 -',
		'session identity_missing',
	]);
	assert.deepEqual(await ask('--verdict', 'deny', '--until', '2026-03-05'), [
		'day0-3 -',
		'session identity_missing',
		'day1-3 -',
		'session identity_missing',
	]);
	assert.equal((await ask('--verdict', 'allow')).length, 9);
	assert.deepEqual(await ask('--cause', 'identity_missing', '--time', '2026-03-04'), ['session identity_missing']);
	assert.deepEqual(await ask('--cause', 'identity_missing', '--agent', 'researcher'), []);
	assert.deepEqual(await ask('--cause', 'identity_missing', '--target', 'crm'), []);
	assert.deepEqual(await ask('--cause', 'upstream_timeout', '--limit', '1'), ['day2-1 upstream_timeout']);
	assert.deepEqual(await ask('--cause', 'no_rule', '--until', '2026-03-04'), ['day0-3 -']);
	assert.deepEqual(await ask('--since', '2026-03-05T10:00:10Z', '--verdict', 'allow'), ['day2-2 -']);
	assert.deepEqual(await ask('--decision', 'day1-1'), ['day1-1 upstream_timeout']);
	assert.equal((await ask('--decision', 'day1-')).length, 4);
	assert.equal((await ask('--decision', 'y1-1')).length, 0);
	assert.equal((await ask('--agent', 'researcher')).length, 12);
	assert.equal((await ask('--agent', 'spiffe://example.org/agents/*')).length, 12);
	assert.equal((await ask('--agent', 'search')).length, 0);
	assert.equal((await ask('--target', 'crm')).length, 12);
	assert.equal((await ask('--target', 'crm.internal:443')).length, 12);
	assert.equal((await ask('--target', 'crm.internal:444')).length, 0);
	const limited = await run(['query', '--directory', directory, '--limit', '2']);
	assert.deepEqual(
		lines(limited.text).map(({ decision, session }) => decision?.decision_id ?? session?.cause),
		['day2-3', 'identity_missing'],
	);
	assert.match(limited.errors, /^13 earlier ones are not shown; --limit shows more$/m);
});

test('query: readable on a terminal, in columns; one decision is shown whole', async t => {
	const directory = await week(t);
	const { text } = await run(['query', '--directory', directory, '--limit', '5'], true);
	assert.deepEqual(text.split('\n'), [
		'2026-03-05 10:00:08.000Z  allow    researcher  GET /contacts → crm  completed · 200 · 12.5 ms  day2-0',
		'2026-03-05 10:00:09.000Z  allow    researcher  GET /contacts → crm  upstream_timeout · 200 · 12.5 ms  day2-1',
		'2026-03-05 10:00:10.000Z  allow    researcher  GET /contacts → crm  day2-2',
		'2026-03-05 10:00:11.000Z  deny     researcher  GET /contacts → crm  no_rule  day2-3',
		'2026-03-05 10:00:12.000Z  refuse   127.0.0.1   connection → egress  identity_missing · no certificate',
		'',
	]);
	const one = await run(['query', '--directory', directory, '--decision', 'day1-1'], true);
	assert.match(one.text, /\n {2}"cause": "upstream_timeout",\n/);
	assert.match(one.text, /\n {4}"resource": "\/contacts",\n/);
	const none = await run(['query', '--directory', directory, '--agent', 'nobody'], true);
	assert.deepEqual([none.text, none.errors, none.status], ['', 'none found\n', 0]);
	const piped = await run(['query', '--directory', directory, '--agent', 'nobody']);
	assert.deepEqual([piped.text, piped.errors], ['', 'none found\n']);
	const zero = await run(['query', '--directory', directory, '--limit', '0']);
	assert.equal(zero.text, '');
	assert.match(zero.errors, /^15 earlier ones are not shown/);
});

test("the caller's mistakes are status 2; what cannot be read is status 1, in words that help", async t => {
	const directory = await week(t);
	assert.equal((await run(['query', '--cause', 'nonsense'])).status, 2);
	assert.equal((await run(['query', '--time', 'tuesday'])).status, 2);
	assert.equal((await run(['query', '--verdict', 'maybe'])).status, 2);
	assert.equal((await run(['tail', '-n', 'many'])).status, 2);
	const missing = join(directory, 'missing');
	const file = join(directory, (await segmentsOf(directory))[0] ?? '');
	const empty = await temporary(t);
	for (const command of ['tail', 'query', 'verify']) {
		for (const [where, said] of [
			[missing, /^error: there is no folder .*missing: go to .*--directory\n$/],
			[file, /^error: .* is no folder\n$/],
			[empty, /^error: .* holds no records: it is no audit directory, or they were removed\n$/],
		] as const) {
			const ran = await run([command, '--directory', where]);
			assert.equal(ran.status, 1, `${command} ${where}`);
			assert.match(ran.errors, said);
			assert.equal(ran.text, '');
		}
	}
	for (const [option, said] of [
		['--against', /^error: there is no file .*missing\n$/],
		['--trust-bundle', /^error: there is no file .*missing\n$/],
		['--key', /^error: there is no file .*missing\n$/],
	] as const) {
		const ran = await run(['verify', '--directory', directory, option, missing]);
		assert.equal(ran.status, 1);
		assert.match(ran.errors, said);
	}
});

test('tail: the last records as they are when piped, readable on a terminal', async t => {
	const directory = await week(t);
	const all = await linesOf(directory);
	const piped = await run(['tail', '--directory', directory, '-n', '25']);
	assert.deepEqual(piped.text.split('\n').slice(0, -1), all.slice(-25));
	assert.equal((await run(['tail', '--directory', directory, '-n', '0'])).text, '');
	assert.deepEqual((await run(['tail', '--directory', directory, '-n', '9999'])).text.split('\n').slice(0, -1), all);
	const { text } = await run(['tail', '--directory', directory, '-n', '9'], true);
	assert.deepEqual(text.split('\n'), [
		'2026-03-05 UTC',
		'10:00:08.000  allow    researcher  GET /contacts → crm',
		'10:00:09.000  done     researcher  GET /contacts → crm  completed · 200 · 12.5 ms',
		'10:00:09.000  allow    researcher  GET /contacts → crm',
		'10:00:10.000  failed   researcher  GET /contacts → crm  upstream_timeout · 200 · 12.5 ms',
		'10:00:10.000  allow    researcher  GET /contacts → crm',
		'10:00:11.000  deny     researcher  GET /contacts → crm  no_rule',
		'10:00:12.000  refuse   127.0.0.1   connection → egress  identity_missing · no certificate',
		'10:00:12.000  control  uid:0       reload',
		'2026-03-06 UTC',
		'10:00:12.000  check    checkpoint up to record 27, signed',
		'',
	]);
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

test('what is missing is said in words, by tail and by verify', async t => {
	const directory = await temporary(t);
	const held: Held = { now: START };
	const config = configOf(directory, { limit: 64 * 1024, agent_share: 0.5 });
	const first = await openAudit(config, depsOf({}, held));
	for (let i = 0; i < 100; i++) await recorded(first, denied(`d${i}`));
	held.now += 60_000;
	await first.close();
	const segment = (await segmentsOf(directory)).at(-1) ?? '';
	await appendFile(join(directory, segment), '{"type":');
	const second = await openAudit(config, depsOf({}, held));
	await second.close();
	const share =
		/records of spiffe:\/\/example\.org\/agents\/researcher could not be written \(agent_share\) from 2026-\S+ to 2026-\S+: lost \d+ of type decision, calls denied/;
	const torn = new RegExp(`after a crash 8 bytes of no whole record were cut off ${segment} at \\d+`);
	const tail = await run(['tail', '--directory', directory, '-n', '200'], true);
	const verify = await run(['verify', '--directory', directory]);
	assert.equal(verify.status, 0);
	for (const { text } of [tail, verify]) {
		assert.match(text, share);
		assert.match(text, torn);
	}
	assert.match(verify.text, /^gap at record \d+: after a crash/m);
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
	assert.equal(json?.whole, true);
	assert.equal(json?.open_count, 3);
	assert.match(json?.signed?.key_id ?? '', /^[0-9a-f]{64}$/);
	assert.deepEqual(json?.gaps, []);
	assert.ok((await run(['verify', '--directory', directory], true, true)).text.startsWith('\u001b[32mwhole'));

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
