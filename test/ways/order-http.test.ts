import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { atDoor, curl } from '../support/curl.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { knownBy } from './support.ts';

test('with several ways the first whose evidence is there decides, good or bad', async t => {
	const workspace = makeWorkspace(t);
	const token = { directory: 'tokens', agents: ['spiffe://example.org/agents/t'] };
	const listener = (name: string, authenticate: unknown, more: object = { upstream: 'tool' }): object => ({
		name,
		address: '127.0.0.1:0',
		authenticate,
		...more,
	});
	const stage = await openStage(t, {
		workspace,
		listeners: [
			listener('mtls-token', ['mtls', { token }]),
			listener('token-mtls', [{ token }, 'mtls']),
			listener('proxy', ['mtls', { token }], { serves: 'http_proxy' }),
		],
	});
	const secret = readFileSync(workspace.path('tokens', 't', 'token'), 'utf8').trim();
	const good = workspace.agent('a');
	const expired = workspace.issue('old', 'spiffe://example.org/agents/old', { lifetime: -1000 });
	const foreign = workspace.issue('foreign', 'spiffe://partner.org/agents/f');
	const at = (name: string): string => `https://${stage.sallyport.address(name)}/x`;
	const bearer = ['-H', `Authorization: Bearer ${secret}`];

	for (const [title, args, expected] of [
		['a certificate', [...atDoor(workspace, good), at('mtls-token')], 'spiffe://example.org/agents/a mtls'],
		[
			'no certificate, a token',
			[...atDoor(workspace), ...bearer, at('mtls-token')],
			'spiffe://example.org/agents/t token',
		],
		[
			'both: the first',
			[...atDoor(workspace, good), ...bearer, at('mtls-token')],
			'spiffe://example.org/agents/a mtls',
		],
		[
			'both, the other way round',
			[...atDoor(workspace, good), ...bearer, at('token-mtls')],
			'spiffe://example.org/agents/t token',
		],
		['no token, a certificate', [...atDoor(workspace, good), at('token-mtls')], 'spiffe://example.org/agents/a mtls'],
	] as const) {
		const answer = await curl(args);
		assert.equal(answer.status, 200, `${title}: ${answer.error} ${answer.body}`);
		assert.equal(knownBy(stage.decisions().at(-1)), expected, title);
		assert.equal(stage.tool.seen.at(-1)?.header('authorization'), undefined, `${title}: the token goes no further`);
	}

	// The agent's own Authorization, where the certificate says who it is.
	await curl([...atDoor(workspace, good), '-H', 'Authorization: Bearer own', at('mtls-token')]);
	assert.equal(stage.tool.seen.at(-1)?.header('authorization'), 'Bearer own');

	const calls = stage.tool.seen.length;
	for (const [title, args, cause] of [
		[
			'an expired certificate, and a good token behind it',
			[...atDoor(workspace, expired), ...bearer, at('mtls-token')],
			'identity_expired',
		],
		[
			'a certificate of a stranger, and a good token',
			[...atDoor(workspace, foreign), ...bearer, at('mtls-token')],
			'identity_invalid',
		],
		[
			'a wrong token before a good certificate',
			[...atDoor(workspace, good), '-H', 'Authorization: Bearer wrong', at('token-mtls')],
			'identity_invalid',
		],
		[
			'an expired certificate alone, in the last place',
			[...atDoor(workspace, expired), at('token-mtls')],
			'identity_expired',
		],
	] as const) {
		const answer = await curl(args);
		assert.equal(answer.status, 403, `${title}: ${answer.error}`);
		assert.equal(answer.json()['cause'], cause, title);
		await stage.sallyport.waitForRecord(record => record.cause === cause, title);
	}
	const nothing = await curl([...atDoor(workspace), at('mtls-token')]);
	assert.equal(nothing.status, 401, 'whoever shows nothing is asked for a token');
	assert.equal(nothing.json()['cause'], 'identity_missing');
	const neither = await curl([...atDoor(workspace), at('token-mtls')]);
	assert.equal(neither.status, 401);
	assert.equal(neither.json()['detail'], 'no certificate was shown');
	const clear = await curl([`http://${stage.sallyport.address('mtls-token')}/x`, ...bearer]);
	assert.notEqual(clear.exit, 0, 'with mtls in the list nothing is taken in the clear');
	assert.equal(stage.tool.seen.length, calls);

	const proxied = await curl([
		...['--proxy', `https://t:${secret}@${stage.sallyport.address('proxy')}`, '--proxy-cacert', workspace.ca],
		`${stage.origin}/x`,
	]);
	assert.equal(proxied.status, 200, proxied.error);
	assert.equal(knownBy(stage.decisions().at(-1)), 'spiffe://example.org/agents/t token');
	await stage.quiet();
});
