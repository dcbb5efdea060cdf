import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Audit, openAudit } from '../../src/audit/audit.ts';
import { tailDirectory } from '../../src/audit/tail.ts';
import { run } from './command.ts';
import { configOf, decision, denied, depsOf, type Held, recorded, START, temporary } from './fixture.ts';
import { until } from './until.ts';

const NAMES = ['pod-a', 'pod-b', 'pod-c'];

/** A volume with the chain of each Sallyport in a folder of its own; their calls interleave, a minute apart. */
async function volume(
	t: TestContext,
): Promise<{ readonly root: string; readonly audits: readonly Audit[]; readonly held: Held }> {
	const root = await temporary(t);
	const held = { now: START };
	const audits = await Promise.all(
		NAMES.map(instance => openAudit(configOf(join(root, 'ns', instance, 'audit')), depsOf({ instance }, held))),
	);
	t.after(() => Promise.all(audits.map(audit => audit.close(0))));
	for (let round = 0; round < 4; round++) {
		for (const [index, audit] of audits.entries()) {
			held.now += 60_000;
			const id = `${NAMES[index]}-${round}`;
			const record = round === 3 ? denied(id) : decision(id);
			await recorded(audit, { ...record, time: held.now });
			if (round < 3) audit.outcome({ decisionId: id, cause: 'completed', durationMs: 1 });
		}
	}
	await Promise.all(audits.map(audit => audit.flush()));
	return { root, audits, held };
}

interface Row {
	readonly decision: { readonly decision_id: string; readonly instance: string };
	readonly outcome?: { readonly decision_id: string };
}

const rowsOf = (text: string): Row[] =>
	text
		.split('\n')
		.filter(line => line !== '')
		.map(line => JSON.parse(line) as Row);

test('query finds decisions in every chain below a folder, by time, each with its outcome', async t => {
	const { root } = await volume(t);
	const { text } = await run(['query', '--directory', root]);
	const rows = rowsOf(text);
	assert.deepEqual(
		rows.map(({ decision: { decision_id: id } }) => id),
		[0, 1, 2, 3].flatMap(round => NAMES.map(name => `${name}-${round}`)),
	);
	for (const { decision: made, outcome } of rows)
		assert.equal(outcome?.decision_id, made.decision_id.endsWith('3') ? undefined : made.decision_id);

	const last = await run(['query', '--directory', root, '--limit', '4']);
	assert.deepEqual(
		rowsOf(last.text).map(({ decision: { decision_id: id } }) => id),
		['pod-c-2', 'pod-a-3', 'pod-b-3', 'pod-c-3'],
	);
	assert.match(last.errors, /^8 earlier ones/);
	const one = await run(['query', '--directory', root, '--decision', 'pod-b-1'], true);
	assert.match(one.text, /pod-b {2}pod-b-1/, 'a terminal is told who wrote it');
	const alone = await run(['query', '--directory', join(root, 'ns', 'pod-b')]);
	assert.equal(rowsOf(alone.text).length, 4);
});

test('tail shows the last of all chains together, and goes on with those that come', async t => {
	const { root, audits, held } = await volume(t);
	const last = await run(['tail', '--directory', root, '-n', '5']);
	const ids = (text: string): string[] =>
		[...text.matchAll(/"type":"decision".*?"decision_id":"([^"]+)"/g)].map(([, id = '']) => id);
	assert.equal(last.text.trim().split('\n').length, 5);
	assert.deepEqual(ids(last.text), ['pod-c-2', 'pod-a-3', 'pod-b-3', 'pod-c-3']);

	const stop = new AbortController();
	let text = '';
	const tailing = tailDirectory(root, { last: 1, follow: true, signal: stop.signal }, async lines => {
		text += lines.map(line => `${line.toString()}\n`).join('');
	});
	await until(() => text !== '');
	held.now += 60_000;
	await recorded(audits[1] as Audit, decision('later'));
	await until(() => ids(text).includes('later'));
	const newcomer = await openAudit(configOf(join(root, 'ns', 'pod-d')), depsOf({ instance: 'pod-d' }, held));
	t.after(() => newcomer.close(0));
	await recorded(newcomer, decision('of-a-new-one'));
	await until(() => ids(text).includes('of-a-new-one'));
	stop.abort();
	await tailing;
	assert.deepEqual(ids(text).slice(-2), ['later', 'of-a-new-one']);
	assert.equal(new Set(text.split('\n')).size, text.split('\n').length, 'nothing twice');
});

test('verify names the chains below a folder that has none itself', async t => {
	const { root } = await volume(t);
	const { errors, status } = await run(['verify', '--directory', root]);
	assert.equal(status, 1);
	assert.ok(errors.includes(`say --directory ${join(root, 'ns', 'pod-a', 'audit')}, or one of 2 others`), errors);
});

test('folders that are links count, those without segments do not', async t => {
	const { root } = await volume(t);
	const elsewhere = await temporary(t);
	await mkdir(join(elsewhere, 'empty'));
	await symlink(join(root, 'ns', 'pod-a'), join(elsewhere, 'link'));
	const { text } = await run(['query', '--directory', elsewhere]);
	assert.equal(rowsOf(text).length, 4);
	const none = await run(['query', '--directory', join(elsewhere, 'empty')]);
	assert.match(none.errors, /holds no records/);
	assert.equal(none.status, 1);
});
