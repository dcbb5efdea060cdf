import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('each server-sent event reaches the agent before the next one is sent', async t => {
	let stream: ServerResponse | undefined;
	const stage = await openStage(t, {
		tool: {
			answer: (_request, response) => {
				response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
				response.flushHeaders();
				stream = response;
			},
		},
	});
	const wire = await stage.wire();
	wire.send(stage.request('GET', '/events', 'Accept: text/event-stream'));
	const head = await wire.receives('\r\n\r\n');
	assert.match(head, /^HTTP\/1\.1 200 OK\r\n/, 'the head comes before the first event');
	assert.match(head, /content-type: text\/event-stream/i);
	const events = await until(() => stream, 'the upstream streams');
	for (let event = 1; event <= 20; event++) {
		events.write(`data: ${event}\n\n`);
		await wire.receives(`data: ${event}\n\n`);
	}
	events.end();
	await wire.receives('0\r\n\r\n');
	const outcome = await stage.outcome();
	assert.equal(outcome.cause, 'completed');
	await stage.quiet();
});
