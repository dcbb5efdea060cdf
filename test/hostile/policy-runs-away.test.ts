import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../revocation/stage.ts';
import { policyOf } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** Some hundred million steps, for one agent. */
const RUNAWAY = `allow if not _away

_away if {
	input.agent.path == "/agents/away"
	some a in numbers.range(1, 10000)
	some b in numbers.range(1, 10000)
	a * b == -1
}`;

test('a policy that runs away denies with policy_exhausted, and stalls nobody', { timeout: 60_000 }, async t => {
	const workspace = makeWorkspace(t);
	const policy = policyOf(RUNAWAY, 'allow := true');
	const stage = await openStage(t, { workspace, policy, config: { policy: { files: ['policies'], mode: 'observe' } } });
	const call = async (agent: string): Promise<string> => {
		const wire = await stage.connect(workspace.agent(agent));
		wire.send(stage.get('/', 'Connection: close\r\n'));
		return await wire.closed();
	};
	const before = await call('other');
	assert.match(before, /^HTTP\/1\.1 200/);
	// Not waived by `observe`: nothing was decided. In the same turn others come, and are served.
	const [away, ...others] = await Promise.all([call('away'), call('other'), call('other')]);
	assert.match(away, /^HTTP\/1\.1 403/);
	assert.match(away, /"cause":"policy_exhausted"/);
	assert.doesNotMatch(away, /1000000/, 'what went wrong is not for the agent');
	for (const other of others) assert.match(other, /^HTTP\/1\.1 200/);
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'policy_exhausted', 'the refusal');
	assert.deepEqual(record['error'], {
		code: 'policy_exhausted',
		message: 'default: it took more than the 1000000 steps of policy.fuel',
	});
	assert.match(
		await stage.sallyport.metrics(),
		/^sallyport_calls_total\{.*phase="request",verdict="deny",cause="policy_exhausted"\} 1$/m,
	);
	const { timer_rego_query_eval_ns: took } = record['metrics'] as { timer_rego_query_eval_ns: number };
	t.diagnostic(`stopped after ${Math.round(took / 1e6)} ms`);
});
