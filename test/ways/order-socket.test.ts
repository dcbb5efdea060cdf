import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { curl } from '../support/curl.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { KNOWN, knownBy, openSocketPath, ROOT, UNKNOWN } from './support.ts';

test('behind a token the user of a Unix socket counts only where no token is shown', { skip: !ROOT }, async t => {
	const workspace = makeWorkspace(t);
	const path = openSocketPath(workspace, 'tool.sock');
	const token = { directory: 'tokens', agents: ['spiffe://example.org/agents/t'] };
	const unix = { users: { [KNOWN]: 'spiffe://example.org/agents/known' } };
	const stage = await openStage(t, {
		workspace,
		listeners: [
			{ name: 'door', address: `unix:${path}`, upstream: 'tool', mode: '0666', authenticate: [{ token }, { unix }] },
		],
	});
	const secret = readFileSync(workspace.path('tokens', 't', 'token'), 'utf8').trim();
	const call = (user: number, ...more: string[]) => curl(['--unix-socket', path, ...more, 'http://tool/x'], { user });

	assert.equal((await call(KNOWN)).status, 200);
	assert.equal(knownBy(stage.decisions().at(-1)), 'spiffe://example.org/agents/known unix');
	assert.equal((await call(UNKNOWN, '-H', `Authorization: Bearer ${secret}`)).status, 200);
	assert.equal(knownBy(stage.decisions().at(-1)), 'spiffe://example.org/agents/t token');
	const wrong = await call(KNOWN, '-H', 'Authorization: Bearer wrong');
	assert.equal(wrong.status, 403, 'what is shown and is bad does not fall to the next way');
	assert.equal(wrong.json()['detail'], 'the token is not known');
	const stranger = await call(UNKNOWN);
	assert.equal(stranger.status, 403);
	assert.match(String(stranger.json()['detail']), /no agent runs as the user/);
	assert.equal(stage.tool.seen.length, 2);
	await stage.quiet();
});
