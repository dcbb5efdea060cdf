import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('more requests at once than limits.requests_in_flight get 429', async t => {
	const held: ServerResponse[] = [];
	const stage = await openStage(t, {
		limits: { requests_in_flight: 2 },
		tool: {
			answer: (request, response) => {
				if (request.url === '/held') held.push(response);
				else response.end();
			},
		},
	});
	const calls = [stage.curl([`${stage.origin}/held`]), stage.curl([`${stage.origin}/held`])];
	await until(() => held.length === 2, 'two are under way');
	const third = await stage.curl([`${stage.origin}/third`], { agent: 'b' });
	assert.equal(third.status, 429);
	assert.equal(third.json()['cause'], 'limit_exceeded');
	assert.equal(third.json()['detail'], 'limits.requests_in_flight');
	assert.ok(
		stage
			.decisions()
			.some(({ cause, decision_id }) => cause === 'limit_exceeded' && decision_id === third.json()['decision_id']),
	);
	for (const response of held) response.end();
	for (const call of calls) assert.equal((await call).status, 200);
	await stage.quiet();
	await stage.good('them');
});

test('more connections of one agent than limits.connections_per_agent get 429; other agents are not touched', async t => {
	const stage = await openStage(t, { limits: { connections_per_agent: 2 } });
	const wires = [await stage.wire(), await stage.wire()];
	for (const wire of wires) {
		wire.send(stage.request('GET', '/x'));
		await wire.receives(/^HTTP\/1\.1 200 /);
	}
	const third = await stage.curl([`${stage.origin}/x`]);
	assert.equal(third.status, 429, third.error);
	assert.equal(third.json()['detail'], 'limits.connections_per_agent');
	await stage.sallyport.waitForRecord(
		record => record['event'] === 'refused' && record['detail'] === 'limits.connections_per_agent',
		'the limit',
	);
	assert.equal((await stage.curl([`${stage.origin}/x`], { agent: 'b' })).status, 200);
	for (const wire of wires) wire.socket.destroy();
	await until(async () => (await stage.curl([`${stage.origin}/x`])).status === 200, 'there is room again');
	await stage.quiet();
});

test('more connections than limits.connections are reset and recorded', async t => {
	const stage = await openStage(t, { limits: { connections: 2 } });
	const wires = [await stage.wire(), await stage.wire({ agent: 'b' })];
	await assert.rejects(stage.wire());
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'limit_exceeded', 'the limit');
	assert.equal(record['detail'], 'limits.connections');
	for (const wire of wires) wire.socket.destroy();
	await until(async () => (await stage.curl([`${stage.origin}/good`])).status === 200, 'there is room again');
	await stage.quiet();
});

test('more new connections a second than limits.handshakes_per_second are reset and recorded', async t => {
	const stage = await openStage(t, { limits: { handshakes_per_second: 3 } });
	const tries = await Promise.allSettled(Array.from({ length: 12 }, () => stage.wire()));
	assert.ok(tries.some(({ status }) => status === 'rejected'));
	assert.ok(tries.some(({ status }) => status === 'fulfilled'));
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'limit_exceeded', 'the limit');
	assert.equal(record['detail'], 'limits.handshakes_per_second');
	await until(async () => (await stage.curl([`${stage.origin}/good`])).status === 200, 'there is room again');
	await stage.quiet();
});
