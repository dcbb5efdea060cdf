import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a server that speaks opaque TCP is opened by the package for inbound sessions, and closed when that changes', async t => {
	const workspace = makeWorkspace(t);
	const server = await listenRaw(t, socket => socket.pipe(socket));
	const rule = (agent: string): string =>
		`package sallyport.inbound.connect\n\nallow if {\n\tinput.agent.path == "/agents/${agent}"\n\tinput.target.agent == "spiffe://example.org/agents/b"\n}\n`;
	const sallyport = await startSallyport(t, workspace, {
		policy: { 'inbound.rego': rule('a') },
		config: {
			listeners: [
				{
					name: 'in',
					address: '127.0.0.1:0',
					serves: 'inbound',
					upstream: 'own',
					agent: 'spiffe://example.org/agents/b',
				},
			],
			upstreams: { own: { address: server.address, protocol: 'tcp' } },
		},
	});
	const open = (name: string) => openWire(t, sallyport.address('in'), { agent: workspace.agent(name) });

	const wire = await open('a');
	wire.send('hello');
	await wire.receives('hello');
	const record = await sallyport.waitForRecord(({ type }) => type === 'decision', 'the decision');
	assert.equal(record['path'], 'sallyport/inbound/connect');
	await (await open('c')).closed();
	await sallyport.waitForRecord(({ cause }) => cause === 'no_rule', 'the refusal');
	assert.equal(server.connections(), 1);

	workspace.write('policies/inbound.rego', rule('c'));
	await wire.closed();
	await sallyport.waitForRecord(
		({ type, cause }) => type === 'outcome' && cause === 'policy_changed',
		'the session is judged again',
	);
});
