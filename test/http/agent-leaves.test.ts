import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('an agent that leaves in the middle of its request, of the wait, or of the answer takes the upstream request with it', async t => {
	const there: { request: IncomingMessage; response: ServerResponse; closed: boolean }[] = [];
	const stage = await openStage(t, {
		tool: {
			answer: (request, response) => {
				if (request.url === '/good') {
					response.end('good');
					return;
				}
				const one = { request, response, closed: false };
				response.on('close', () => {
					one.closed = true;
				});
				there.push(one);
				if (request.url === '/answer') response.writeHead(200).write('begun');
			},
		},
	});
	const leave = async (name: string, bytes: string, wait?: string): Promise<void> => {
		const wire = await stage.wire();
		wire.send(bytes);
		const place = there.length;
		const one = await until(() => there[place], `the upstream gets ${name}`);
		if (wait !== undefined) await wire.receives(wait);
		wire.socket.destroy();
		await until(() => one.closed, `the upstream sees that the agent left: ${name}`);
		const outcome = await stage.outcome(place + 1);
		assert.equal(outcome.cause, 'agent_aborted', name);
		await stage.quiet();
	};
	await leave('a request by length', stage.request('POST', '/length', 'Content-Length: 1000000', 'x'.repeat(100_000)));
	await leave('a request in chunks', stage.request('POST', '/chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n'));
	await leave('the wait', stage.request('GET', '/wait'));
	await leave('the answer', stage.request('GET', '/answer'), 'begun');
	assert.equal(
		there.filter(({ request }) => request.complete && request.method === 'POST').length,
		0,
		'no half request looks whole',
	);
	await stage.good('all of them');
	await stage.quiet();
});

test('an agent that ends its side in the middle of the answer has left too', async t => {
	let closed = false;
	const stage = await openStage(t, {
		tool: {
			answer: (_request, response) => {
				response.writeHead(200).write('begun');
				response.on('close', () => {
					closed = true;
				});
			},
		},
	});
	const wire = await stage.wire();
	wire.send(stage.request('GET', '/'));
	await wire.receives('begun');
	wire.socket.end();
	await until(() => closed, 'the upstream sees it');
	assert.equal((await stage.outcome()).cause, 'agent_aborted');
	await stage.quiet();
});

test('an agent that leaves while its small body is awaited leaves nothing open', async t => {
	const stage = await openStage(t);
	const wire = await stage.wire();
	wire.send(stage.request('POST', '/small', 'Content-Length: 10', 'x'));
	await until(() => stage.decisions().length === 1, 'it is decided');
	wire.socket.destroy();
	assert.equal((await stage.outcome()).cause, 'agent_aborted');
	assert.equal(stage.tool.connections(), 0);
	await stage.quiet();
});
