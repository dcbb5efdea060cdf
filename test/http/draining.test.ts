import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('while it drains, an answer under way ends its connection, and another request there is refused in words', async t => {
	const held: ServerResponse[] = [];
	const stage = await openStage(t, {
		tool: {
			answer: (request, response) => {
				if (request.url === '/held') held.push(response);
				else response.end();
			},
		},
	});
	const busy = await stage.wire();
	busy.send(stage.request('GET', '/held'));
	await until(() => held.length === 1, 'the call is under way');
	// On a connection with half a head: it is not idle, so it is there still.
	const half = await stage.wire();
	half.send('GET ');
	const idle = await stage.wire();
	idle.send(stage.request('GET', '/before'));
	await idle.receives(/^HTTP\/1\.1 200 /);
	stage.sallyport.signal('SIGTERM');
	await idle.closed();
	half.send(stage.request('GET', '/new').slice(4));
	assert.match(await half.closed(), /^HTTP\/1\.1 503 Service Unavailable draining [\s\S]*connection: close/i);
	assert.equal(stage.decisions().at(-1)?.cause, 'draining');
	held[0]?.end('the end');
	const answer = await busy.closed();
	assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*the end/i);
	assert.deepEqual(await stage.sallyport.ended(), { code: 0, signal: null });
	assert.equal(stage.tool.seen.length, 2);
});
