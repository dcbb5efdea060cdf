import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** Leaves room for some hundred records. */
const LIMIT = '512KiB';
const MANY = 1500;

test('an agent that is only ever refused cannot fill the records: it alone is shut out, others go on and are recorded', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			audit: { limit: LIMIT, agent_share: 0.5 },
		},
		policy: policyOf('allow if endswith(input.agent.path, "/worker")'),
	});
	const as = (agent: string): string[] => throughProxy(workspace, sallyport.address('egress'), workspace.agent(agent));
	const origin = `http://crm.internal:${upstream.port}`;
	const flood = await curl([...as('flooder'), '-o', '/dev/null', `${origin}/[1-${MANY}]`], { limit: 60 });
	assert.equal(flood.exit, 0, flood.error);

	const refused = await curl([...as('flooder'), `${origin}/more`]);
	assert.equal(refused.status, 503);
	assert.equal(refused.json()['cause'], 'audit_unavailable');
	assert.match(String(refused.json()['detail']), /share/);

	for (let call = 0; call < 20; call++) {
		const answer = await curl([...as('worker'), `${origin}/work`]);
		assert.equal(answer.status, 200, answer.body);
	}
	assert.equal(upstream.seen.length, 20);
	assert.equal((await curl([`http://${sallyport.health()}/readyz`])).status, 200);
	const status = await curl(['--unix-socket', workspace.path('control.sock'), 'http://sallyport/v1/status']);
	const { overdrawn } = status.json()['audit'] as { overdrawn: readonly { agent: string; refused: number }[] };
	assert.equal(overdrawn.length, 1);
	assert.equal(overdrawn[0]?.agent, 'spiffe://example.org/agents/flooder');
	assert.ok((overdrawn[0]?.refused ?? 0) > 100);
	assert.match(await sallyport.metrics(), /sallyport_audit_failures_total\{reason="agent_share"\} 1\n/);
	await sallyport.stop();

	const records = sallyport.records();
	const decisions = records.filter(({ type }) => type === 'decision');
	const of = (agent: string) => decisions.filter(({ call }) => String(call?.['agent']).endsWith(`/${agent}`)).length;
	assert.equal(of('worker'), 20);
	const sums = records
		.filter(({ type }) => type === 'gap')
		.map(({ gap }) => gap as { error: string; lost: { decision: number } });
	assert.ok(sums.length <= 3, `${sums.length} records in sum`);
	for (const { error } of sums) assert.equal(error, 'agent_share');
	const lost = sums.reduce((sum, gap) => sum + gap.lost.decision, 0);
	assert.equal(of('flooder') + lost, MANY + 1, 'each refusal is in the chain, alone or in a sum');
	assert.ok(lost > 100);
});
