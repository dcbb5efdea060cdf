import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { curl } from '../support/curl.ts';
import { policyOf } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { KNOWN, knownBy, openSocketPath, ROOT, UNKNOWN } from './support.ts';

test('on a Unix socket the kernel says which user connects, and the configuration which agent that is', async t => {
	const workspace = makeWorkspace(t);
	const path = openSocketPath(workspace, 'tool.sock');
	const own = process.getuid?.() ?? 0;
	const unix = { users: { [own]: 'spiffe://example.org/agents/own', [KNOWN]: 'spiffe://example.org/agents/known' } };
	const stage = await openStage(t, {
		workspace,
		listeners: [
			{
				name: 'door',
				address: `unix:${path}`,
				upstream: 'tool',
				mode: '0666',
				agents: ['spiffe://example.org/agents/*'],
				authenticate: { unix },
			},
		],
		policy: policyOf('allow if input.agent.authentication == "unix"'),
	});
	const call = (user?: number) => curl(['--unix-socket', path, 'http://tool/x'], user === undefined ? {} : { user });

	assert.equal((await call()).status, 200);
	assert.equal(knownBy(stage.decisions().at(-1)), 'spiffe://example.org/agents/own unix');
	if (!ROOT) return;

	assert.equal((await call(KNOWN)).status, 200);
	assert.equal(knownBy(stage.decisions().at(-1)), 'spiffe://example.org/agents/known unix');

	const stranger = await call(UNKNOWN);
	assert.equal(stranger.status, 403);
	assert.equal(stranger.json()['cause'], 'identity_invalid');
	assert.equal(stranger.json()['detail'], `no agent runs as the user ${UNKNOWN}`);
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'identity_invalid', 'the refusal');
	assert.match(JSON.stringify(record), /no agent runs as the user 64102/);
	assert.equal(stage.tool.seen.length, 2, 'the stranger reached nothing');
	await stage.quiet();
});
