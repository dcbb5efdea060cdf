import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { knownBy, openSocketPath } from './support.ts';

test('a tcp door on a Unix socket: a certificate first, else the user that connects', async t => {
	const workspace = makeWorkspace(t);
	const path = openSocketPath(workspace, 'raw.sock');
	const upstream = await listenRaw(t, socket => socket.pipe(socket));
	const own = process.getuid?.() ?? 0;
	const door = (name: string, users: Record<number, string>): object => ({
		name,
		address: `unix:${name === 'raw' ? path : workspace.path(name)}`,
		upstream: 'raw',
		authenticate: ['mtls', { unix: { users } }],
	});
	const sallyport = await startSallyport(t, workspace, {
		policy: policyOf('allow := true'),
		config: {
			listeners: [
				door('raw', { [own]: 'spiffe://example.org/agents/own' }),
				door('other', { [own + 1]: 'spiffe://example.org/agents/own' }),
			],
			upstreams: { raw: { address: upstream.address, protocol: 'tcp' } },
		},
	});
	const expired = workspace.issue('old', 'spiffe://example.org/agents/old', { lifetime: -1000 });
	const last = (): string => knownBy(sallyport.records().findLast(({ type }) => type === 'decision'));

	const shown = await openWire(t, `unix:${path}`, { agent: workspace.agent('a') });
	shown.send('one');
	await shown.receives('one');
	assert.equal(last(), 'spiffe://example.org/agents/a mtls');
	const bare = await openWire(t, `unix:${path}`, { tls: {} });
	bare.send('two');
	await bare.receives('two');
	assert.equal(last(), 'spiffe://example.org/agents/own unix');

	const opened = upstream.connections();
	await (await openWire(t, `unix:${path}`, { agent: expired })).closed();
	await sallyport.waitForRecord(({ cause }) => cause === 'identity_expired', 'a bad certificate is refused');
	await (await openWire(t, `unix:${workspace.path('other')}`, { tls: {} })).closed();
	await sallyport.waitForRecord(({ cause }) => cause === 'identity_invalid', 'so is an unknown user');
	assert.equal(upstream.connections(), opened);
});
