import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from './stage.ts';

const of = (name: string): string[] => [`spiffe://example.org/agents/${name}`];

test('every kind of credential is sent in the place of what the agent sends, and the record says which entry it was', async t => {
	const stage = await openStage(
		t,
		[
			{ agents: of('header'), name: 'api-key', header: { name: 'X-Api-Key', value: 'held-header' } },
			{ agents: of('bearer'), bearer: { env: 'CRM_TOKEN' } },
			{ agents: of('basic'), name: 'basic', basic: { username: 'held-üser', password: 'held:pass' } },
			{ agents: of('command'), name: 'vault', bearer: { command: ['printf', '%s\n', 'held-command'], ttl: '1m' } },
			{ agents: of('basic'), bearer: 'never: another entry comes first'.replaceAll(' ', '-') },
		],
		{ env: { CRM_TOKEN: 'held-env' } },
	);
	const basic = Buffer.from('held-üser:held:pass').toString('base64');
	const cases = [
		['header', 'x-api-key', 'held-header', 'api-key'],
		['bearer', 'authorization', 'Bearer held-env', '1'],
		['basic', 'authorization', `Basic ${basic}`, 'basic'],
		['command', 'authorization', 'Bearer held-command', 'vault'],
	] as const;
	for (const [agent, field, value, entry] of cases) {
		const own = ['-H', `${field}: the agent's own`];
		assert.equal((await stage.call(own, agent)).status, 200, agent);
		const seen = stage.crm.seen.at(-1);
		const values = (seen?.rawHeaders ?? []).filter(
			(_, at, all) => at % 2 === 1 && all[at - 1]?.toLowerCase() === field,
		);
		assert.deepEqual(values, [value]);
		const decision = stage.sallyport.records().findLast(({ type }) => type === 'decision');
		assert.ok(JSON.stringify(decision).includes(`"credential":"${entry}"`), JSON.stringify(decision));
	}
	assert.equal(JSON.stringify(stage.sallyport.records()).includes('held-'), false);
});

test('an agent that no entry matches is refused before anything is dialled, and says so in the record', async t => {
	const stage = await openStage(t, [{ agents: of('somebody'), bearer: 'held' }]);
	const answer = await stage.call();
	assert.equal(answer.status, 403);
	assert.equal(answer.json()['cause'], 'no_credential');
	assert.equal(stage.crm.connections(), 0);
	const decision = await stage.sallyport.waitForRecord(({ cause }) => cause === 'no_credential', 'the refusal');
	assert.equal(decision['verdict'], 'deny');
	assert.equal((await stage.call([], 'somebody')).status, 200);
});

test('without `credentials` what the agent sends goes through', async t => {
	const stage = await openStage(t, undefined);
	assert.equal((await stage.call(['-H', 'authorization: Bearer own'])).status, 200);
	assert.equal(stage.crm.seen[0]?.header('authorization'), 'Bearer own');
});
