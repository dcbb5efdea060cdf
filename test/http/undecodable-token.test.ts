import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Show } from '../../src/cli/audit-show.ts';
import { openWire } from '../support/wire.ts';
import { openStage, TOKEN_LISTENERS } from './support-stage.ts';

test("a call that cannot be read is its agent's where its token can be", async t => {
	const stage = await openStage(t, { listeners: TOKEN_LISTENERS });
	const secret = readFileSync(stage.workspace.path('tokens', 'a', 'token'), 'utf8').trim();
	const shown = `Proxy-Authorization: Bearer ${secret}\r\n`;
	const request = (path: string, fields: string): string =>
		`GET ${path} HTTP/1.1\r\nHost: ${stage.host}\r\n${fields}\r\n`;
	const asked = async (listener: string, ...bytes: readonly string[]): Promise<Record<string, unknown>> => {
		const wire = await openWire(t, stage.sallyport.address(listener));
		let answer = '';
		for (const part of bytes) {
			wire.send(part);
			answer = await wire.receives('}');
		}
		wire.socket.destroy();
		return JSON.parse(answer.slice(answer.lastIndexOf('\r\n\r\n'))) as Record<string, unknown>;
	};
	const bad = `${stage.origin}//x`;

	const first = await asked('egress', request(bad, shown));
	assert.equal(first.cause, 'undecodable');
	assert.equal(first.detail, 'the path has an empty segment');
	assert.match(String(first.hint), /mend the client/);
	const atDoor = await asked('door', request('/%41', `Authorization: Bearer ${secret}\r\n`));
	assert.equal(atDoor.detail, 'the path has an escaped character that needs no escape');
	for (const { decision_id: id } of [first, atDoor]) {
		const record = await stage.sallyport.waitForRecord(found => found.decision_id === id, 'the decision');
		assert.equal(record.type, 'decision');
		assert.equal((record.call as { agent: string }).agent, 'spiffe://example.org/agents/a');
		assert.doesNotMatch(JSON.stringify(record), new RegExp(secret));
		assert.doesNotMatch(new Show(false, true).row({ decision: record }), /:0\b/);
	}
	// Nobody is believed for a token that is wrong, or one of two.
	const wrong = await asked('egress', request(bad, 'Proxy-Authorization: Bearer wrongwrongwrong\r\n'));
	assert.equal(wrong.cause, 'identity_invalid');
	const two = await asked('egress', request(bad, shown + shown));
	assert.deepEqual([two.cause, two.decision_id], ['undecodable', undefined]);
	assert.equal(stage.tool.seen.length, 0);
	await stage.quiet();
});

test("on a connection that an agent uses it is that agent's, with or without a token", async t => {
	const token = { directory: 'tokens', agents: ['spiffe://example.org/agents/a'] };
	const stage = await openStage(t, {
		listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', authenticate: { token } }],
	});
	const secret = readFileSync(stage.workspace.path('tokens', 'a', 'token'), 'utf8').trim();
	const wire = await openWire(t, stage.sallyport.address('egress'));
	wire.send(`GET ${stage.origin}/x HTTP/1.1\r\nHost: ${stage.host}\r\nProxy-Authorization: Bearer ${secret}\r\n\r\n`);
	await wire.receives('HTTP/1.1 200');
	wire.send(`GET ${stage.origin}/a/../b HTTP/1.1\r\nHost: ${stage.host}\r\n\r\n`);
	await wire.receives('HTTP/1.1 400');
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'undecodable', 'the refusal');
	assert.equal(record.type, 'decision');
	assert.equal(record.detail, 'the path has a dot segment');
	assert.equal((record.call as { agent: string }).agent, 'spiffe://example.org/agents/a');
	wire.socket.destroy();
	await stage.quiet();
});

test('no_rule on a target that is not declared names what no upstream matches', async t => {
	const stage = await openStage(t, {
		policy: { 'request.rego': 'package sallyport.request\n\nallow if input.target.name\n' },
	});
	const answer = await stage.curl(['http://nowhere.test:8080/x']);
	assert.equal(answer.json()['cause'], 'no_rule');
	assert.equal(answer.json()['detail'], 'no upstream matches nowhere.test:8080');
	assert.match(String(answer.json()['hint']), /allow rule or a grant/);
});
