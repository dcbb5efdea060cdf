import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sallyport as command } from '../cli/run.ts';
import { idOf, openStage, type Stage, stageOf } from '../revocation/stage.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';

const call = async ({ workspace, sallyport, upstream }: Stage, agent: string): Promise<number> => {
	const through = throughProxy(workspace, sallyport.address('egress'), workspace.agent(agent));
	return (await curl([...through, `http://${upstream.address}/`])).status;
};

test('a state that a newer version wrote is refused in words and left as it is; the newer one goes on with it', async t => {
	const workspace = makeWorkspace(t);
	const sink = { file: { path: 'records.jsonl' } };
	const stage = await openStage(t, { workspace, config: { audit: { sinks: [sink] } } });
	await stage.order(idOf('revoked'));
	await stage.sallyport.stop();
	const schema = (version: number): void => {
		const state = new DatabaseSync(workspace.path('var/state.db'));
		state.exec(`PRAGMA user_version = ${version}`);
		state.close();
	};
	schema(2);
	const start = { file: workspace.path('sallyport.yaml') };
	const older = await startSallyport(t, workspace, { ...start, wait: false });
	assert.equal((await older.ended()).code, 1);
	assert.match(older.stderr(), /state\.db was written by a newer version of Sallyport \(schema 2; this one knows 1\)/);
	assert.match(older.stderr(), /run that version, or move the file away, and with it every revocation/);
	assert.ok(!older.log().some(({ msg }) => msg === 'listening'), 'nobody is served');

	// As the newer version finds it; and positions of sinks that it cannot read.
	schema(1);
	workspace.write('var/audit/sinks.json', '{"version":2}');
	const before = readFileSync(workspace.path('records.jsonl'), 'utf8').split('\n')[0] ?? '';
	const again = stageOf(t, workspace, await startSallyport(t, workspace, start), stage.upstream);
	assert.equal(await call(again, 'revoked'), 403);
	assert.equal(await call(again, 'other'), 200);
	const copies = (): number => readFileSync(workspace.path('records.jsonl'), 'utf8').split(before).length - 1;
	await until(() => copies() === 2, 'the sink gets everything again');
	await again.sallyport.stop();
	const verified = await command(['audit', 'verify', '--directory', 'var/audit'], { cwd: workspace.directory });
	assert.equal(verified.code, 0, verified.err);
	assert.equal(again.sallyport.records().filter(({ action }) => action === 'chain').length, 1, 'it is the same chain');
});

test('a key that only a newer version knows: who runs goes on with what was, who starts says where it stands', async t => {
	const stage = await openStage(t);
	const file = stage.workspace.path('sallyport.yaml');
	stage.workspace.write('sallyport.yaml', `${readFileSync(file, 'utf8')}of_tomorrow: {}\n`);
	const answer = await stage.control('POST', '/v1/reload');
	assert.match(answer.text, /of_tomorrow/);
	assert.equal(await call(stage, 'other'), 200);
	await stage.sallyport.stop();
	const older = await startSallyport(t, stage.workspace, { file, wait: false });
	assert.equal((await older.ended()).code, 2);
	assert.match(older.stderr(), /sallyport\.yaml:\d+:\d+ {2}of_tomorrow/);
});
