import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { curl } from '../support/curl.ts';
import { openStage, TOKEN_LISTENERS } from './support-stage.ts';

test('a door asks for a token with 401, as the server that it is to its clients; a proxy with 407', async t => {
	const stage = await openStage(t, { listeners: TOKEN_LISTENERS });
	const secret = readFileSync(stage.workspace.path('tokens', 'a', 'token'), 'utf8').trim();
	const door = `http://${stage.sallyport.address('door')}`;
	const proxy = ['--proxy', `http://${stage.sallyport.address('egress')}`];

	const asked = await curl([`${door}/x`]);
	assert.equal(asked.status, 401);
	assert.deepEqual(asked.headers['www-authenticate'], ['Basic realm="sallyport"']);
	assert.equal(asked.headers['proxy-authenticate'], undefined);
	assert.equal(asked.json()['cause'], 'identity_missing');
	assert.equal(asked.json()['status'], 401);
	const proxied = await curl([...proxy, `${stage.origin}/x`]);
	assert.equal(proxied.status, 407);
	assert.deepEqual(proxied.headers['proxy-authenticate'], ['Basic realm="sallyport"']);
	assert.equal(proxied.headers['www-authenticate'], undefined);
	assert.equal(stage.tool.seen.length, 0);

	// What stands in the address, what is asked for, and what is sent unasked: as clients do it.
	for (const [what, args] of Object.entries({
		'in the address': [`http://a:${secret}@${door.slice('http://'.length)}/x`],
		'after the challenge': ['--anyauth', '-u', `a:${secret}`, `${door}/x`],
		'by Bearer': ['-H', `Authorization: Bearer ${secret}`, `${door}/x`],
		'through the proxy, after the challenge': [...proxy, '--proxy-anyauth', '-U', `a:${secret}`, `${stage.origin}/x`],
	})) {
		const answer = await curl(args);
		assert.equal(answer.status, 200, `${what}: ${answer.body}`);
		assert.equal(stage.tool.seen.at(-1)?.header('authorization'), undefined, what);
		assert.equal(stage.tool.seen.at(-1)?.header('proxy-authorization'), undefined, what);
	}
	const own = await curl([
		'-H',
		`Proxy-Authorization: Bearer ${secret}`,
		'-H',
		'Authorization: Bearer own',
		`${door}/x`,
	]);
	assert.equal(own.status, 200);
	assert.equal(stage.tool.seen.at(-1)?.header('authorization'), 'Bearer own', "the agent's own, for the upstream");

	const wrong = await curl(['-u', 'a:wrong', `${door}/x`]);
	assert.equal(wrong.status, 403, 'no client is to try the same again');
	assert.equal(wrong.json()['cause'], 'identity_invalid');
	await stage.quiet();
});
