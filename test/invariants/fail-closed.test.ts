import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** What a policy may say, and what becomes of a call under it. Each is put in force while Sallyport runs. */
const POLICIES: readonly { readonly cause: string; readonly status: number; readonly rego: string }[] = [
	{ cause: 'no_rule', status: 403, rego: 'package sallyport.request\nallow if input.call.operation == "NEVER"' },
	{ cause: 'no_rule', status: 403, rego: 'package sallyport.request\nallow := false' },
	{ cause: 'policy_error', status: 403, rego: 'package sallyport.request\nallow := "yes"' },
	{ cause: 'policy_error', status: 403, rego: 'package sallyport.request\nallow := true\ndeny := "no"' },
	{ cause: 'policy_error', status: 403, rego: 'package sallyport.request\nallow := true\ndeny := false' },
	{ cause: 'policy_error', status: 403, rego: 'package sallyport.request\nallow := true\nask := ["x"]' },
	{
		cause: 'policy_error',
		status: 403,
		rego: 'package sallyport.request\nallow := true\nallow := false if input.call.effect == "read"',
	},
	{
		cause: 'denied_by_rule',
		status: 403,
		rego: 'package sallyport.request\nallow := true\ndeny contains "no" if true',
	},
	{
		cause: 'approval_required',
		status: 403,
		rego: 'package sallyport.request\nallow := true\nask contains "a person" if true',
	},
	{ cause: 'phase_undefined', status: 403, rego: 'package sallyport.connect\nallow := true' },
	{
		cause: 'body_unreadable',
		status: 403,
		rego: 'package sallyport.request\nallow := true\ndeny contains "no" if input.http.body.secret',
	},
];

test('what a policy does not clearly allow is refused, each with its own cause, and nothing is sent', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
		policy: { 'policy.rego': 'package sallyport.request\nallow := true\n' },
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	const call = () =>
		curl([
			...proxy,
			'-X',
			'GET',
			'-d',
			'not JSON',
			'-H',
			'content-type: application/json',
			`http://crm.internal:${upstream.port}/`,
		]);
	assert.equal((await call()).status, 200);
	const inForce = (): number => sallyport.log().filter(({ msg }) => msg === 'policy is in force').length;

	for (const { cause, status, rego } of POLICIES) {
		const before = inForce();
		workspace.write('policies/policy.rego', `${rego}\n`);
		await until(() => inForce() > before, `in force: ${rego}\n${sallyport.stderr()}`);
		const answer = await call();
		assert.equal(answer.json()['cause'], cause, rego);
		assert.equal(answer.status, status, rego);
	}
	assert.equal(upstream.seen.length, 1, 'only the call that was allowed');
	const refused = sallyport.records().filter(record => record.type === 'decision' && record.cause !== undefined);
	assert.deepEqual(
		refused.map(record => record.cause),
		POLICIES.map(({ cause }) => cause),
	);
});

test('without any policy every call is refused with policy_missing', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
		policy: { 'broken.rego': 'package sallyport.request\nallow if {\n' },
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	const call = await curl([...proxy, `http://crm.internal:${upstream.port}/`]);
	assert.equal(call.status, 503);
	assert.equal(call.json()['cause'], 'policy_missing');
	assert.equal(upstream.connections(), 0);
});
