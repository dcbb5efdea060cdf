import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a refused call opens no connection and looks no name up; the same call allowed does', async t => {
	const workspace = makeWorkspace(t);
	const crm = await startUpstream(t);
	const vault = await listenRaw(t, () => {});
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: {
				crm: { address: crm.address, hosts: ['crm.internal'], protocol: 'http' },
				vault: { address: vault.address, hosts: ['vault.internal'], protocol: 'tcp' },
			},
			limits: { dial: '2s' },
		},
		policy: policyOf('allow if input.agent.path == "/agents/good"'),
	});
	const egress = sallyport.address('egress');
	const through = (agent: string): string[] => throughProxy(workspace, egress, workspace.agent(agent));
	// No name below .invalid exists (RFC 6761 §6.4): whoever looks it up hears so.
	const unknown = 'http://nowhere.invalid/';

	for (const method of ['GET', 'POST', 'DELETE']) {
		const refused = await curl([...through('bad'), '-X', method, '-d', 'x=1', `http://crm.internal:${crm.port}/`]);
		assert.equal(refused.status, 403, refused.error);
		assert.equal(refused.json()['cause'], 'no_rule');
	}
	assert.equal((await curl([...through('bad'), unknown])).json()['cause'], 'no_rule');
	const agent = workspace.agent('bad');
	const wire = await openWire(t, egress, { agent });
	wire.send(`CONNECT vault.internal:${vault.port} HTTP/1.1\r\nHost: vault.internal:${vault.port}\r\n\r\nearly bytes`);
	assert.match(await wire.receives('\r\n\r\n'), /^HTTP\/1\.1 403 Forbidden no_rule [0-9a-f-]{36}\r\n/);
	assert.equal(crm.connections(), 0);
	assert.equal(vault.connections(), 0);
	assert.equal(
		sallyport.records().filter(record => record.type === 'outcome').length,
		0,
		'what was refused has no outcome',
	);

	assert.equal((await curl([...through('good'), `http://crm.internal:${crm.port}/`])).status, 200);
	assert.equal(crm.connections(), 1);
	assert.equal((await curl([...through('good'), unknown])).json()['cause'], 'name_unresolved');
});
