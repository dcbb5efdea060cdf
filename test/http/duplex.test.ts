import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from './support-stage.ts';

test('an answer may stream while its request still does', async t => {
	const stage = await openStage(t, {
		tool: {
			answer: (request, response) => {
				response.writeHead(200);
				response.flushHeaders();
				request.pipe(response);
			},
		},
	});
	const wire = await stage.wire();
	wire.send(stage.request('POST', '/echo', 'Transfer-Encoding: chunked'));
	for (let turn = 1; turn <= 10; turn++) {
		const text = `turn ${turn};`;
		wire.send(`${text.length.toString(16)}\r\n${text}\r\n`);
		await wire.receives(text);
	}
	wire.send('0\r\n\r\n');
	await wire.receives('\r\n0\r\n\r\n');
	const outcome = await stage.outcome();
	assert.equal(outcome.cause, 'completed');
	assert.equal(outcome['bytes_sent'], outcome['bytes_received']);
	await stage.quiet();
});
