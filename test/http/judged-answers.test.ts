import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('an answer that phase response denies does not reach the agent, whatever its method and whether it has a body', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t, {
		answer: (request, response) => {
			if (request.url === '/secret') response.setHeader('x-secret', 'stolen');
			response.statusCode = request.method === 'DELETE' ? 204 : 200;
			response.end(request.method === 'DELETE' ? undefined : 'a body');
		},
	});
	const sallyport = await startSallyport(t, workspace, {
		policy: {
			...policyOf('allow := true'),
			'response.rego':
				'package sallyport.response\n\nallow := true\n\ndeny contains {"msg": "that stays here", "code": "kept"} if input.http.headers["x-secret"]\n',
		},
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.test'], protocol: 'http' } } },
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	const at = (path: string): string => `http://crm.test:${upstream.port}${path}`;
	for (const [name, args] of [
		['GET', []],
		['HEAD', ['-I']],
		['DELETE', ['-X', 'DELETE']],
	] as const) {
		const denied = await curl([...proxy, ...args, at('/secret')]);
		assert.equal(denied.status, 403, `${name} ${denied.error}`);
		assert.equal(denied.headers['x-secret'], undefined, name);
		const allowed = await curl([...proxy, ...args, at('/open')]);
		assert.ok(allowed.status === 200 || allowed.status === 204, `${name} ${allowed.status} ${allowed.error}`);
	}
	const told = (await curl([...proxy, at('/secret')])).json();
	assert.equal(told['cause'], 'denied_by_rule');
	assert.deepEqual(told['reasons'], [{ msg: 'that stays here', code: 'kept' }]);
	await until(async () => /sallyport_calls_open 0/.test(await sallyport.metrics()), 'no call is open');
});
