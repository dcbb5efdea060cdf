import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openAudit } from '../../src/audit/audit.ts';
import { verifyDirectory } from '../../src/audit/verify.ts';
import { configOf, depsOf, recordsOf, temporary } from './fixture.ts';

const writer = fileURLToPath(new URL('killed-writer.ts', import.meta.url));

test('kill -9 in the middle of writing, several times: every act has its decision, every call its end', async t => {
	const directory = await temporary(t);
	const acted: string[] = [];
	for (let run = 0; run < 4; run++) {
		const child = fork(writer, [directory], { execArgv: ['--disable-warning=ExperimentalWarning'], stdio: 'inherit' });
		t.after(() => child.kill('SIGKILL'));
		let seen = 0;
		await new Promise<void>(resolve => {
			child.on('message', id => {
				acted.push(String(id));
				seen++;
				if (seen === 300 + run * 137) resolve();
			});
		});
		child.kill('SIGKILL');
		await once(child, 'exit');
	}
	const audit = await openAudit(configOf(directory), depsOf({ clock: Date }));
	const { unknown } = audit.status();
	await audit.close();
	const result = await verifyDirectory(directory);
	assert.equal(result.fault, undefined);
	assert.equal(result.openCount, 0);
	assert.ok(unknown <= 64, `${unknown} open at once`);
	const records = await recordsOf(directory);
	const decided = new Set(records.filter(({ type }) => type === 'decision').map(({ decision_id }) => decision_id));
	const ended = records.filter(({ type }) => type === 'outcome').map(({ decision_id }) => decision_id);
	for (const id of acted) assert.ok(decided.has(id), `${id} was acted on without a decision`);
	assert.equal(new Set(ended).size, ended.length);
	assert.equal(ended.length, decided.size);
	assert.ok(result.unknown > 0);
});
