import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from './support-stage.ts';

test('bodies in chunks arrive whole both ways, with trailers of the answer; trailers of the request are dropped and counted', async t => {
	const stage = await openStage(t, {
		tool: {
			answer: (request, response) => {
				const chunks: Buffer[] = [];
				request.on('data', (chunk: Buffer) => chunks.push(chunk));
				request.on('end', () => {
					response.writeHead(200, { trailer: 'x-checksum' });
					for (const chunk of chunks) response.write(chunk);
					response.addTrailers({ 'x-checksum': 'abc', 'set-cookie': 'a=b', connection: 'close', 'x-more': 'd' });
					response.end();
				});
			},
		},
	});
	const { tool } = stage;
	const wire = await stage.wire();
	wire.send(stage.request('POST', '/chunks', 'Transfer-Encoding: chunked\r\nTrailer: x-sum', '5;ext="1"\r\nhello\r\n'));
	await tool.request(1);
	wire.send('6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n');
	const answer = await wire.receives(/\r\n0\r\n[\s\S]*\r\n\r\n$/);
	assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
	assert.match(answer, /transfer-encoding: chunked\r\n/i);
	assert.match(answer, /\r\n0\r\nx-checksum: abc\r\nx-more: d\r\n\r\n$/, 'trailers that may trail');
	assert.match(answer.replace(/\r\n[0-9a-f]+\r\n/g, ''), /hello world/);
	assert.equal(tool.seen[0]?.body().toString(), 'hello world');
	assert.equal(tool.seen[0]?.header('transfer-encoding'), 'chunked');
	assert.equal(tool.seen[0]?.header('trailer'), undefined);
	assert.equal(tool.raw().toString('latin1').toLowerCase().includes('x-sum'), false);
	assert.match(await stage.sallyport.metrics(), /^sallyport_dropped_trailers_total 1$/m);

	// A body by length keeps its length, an empty one too, and so does a body of a method that has none usually.
	const lengths = await stage.wire();
	lengths.send(stage.request('POST', '/length', 'Content-Length: 3', 'abc'));
	assert.equal((await tool.request(2)).header('content-length'), '3');
	lengths.send(stage.request('POST', '/empty', 'Content-Length: 0'));
	assert.equal((await tool.request(3)).header('content-length'), '0');
	lengths.send(stage.request('DELETE', '/delete', 'Content-Length: 2', '{}'));
	assert.equal((await tool.request(4)).header('content-length'), '2');
	lengths.send(stage.request('GET', '/get', 'Content-Length: 2', '{}'));
	assert.equal((await tool.request(5)).body().toString(), '{}');
	lengths.send(stage.request('GET', '/get-chunks', 'Transfer-Encoding: chunked', '2\r\n{}\r\n0\r\n\r\n'));
	const last = await tool.request(6);
	await stage.outcome(6);
	assert.equal(last.body().toString(), '{}');
	assert.deepEqual(
		tool.seen.map(({ method }) => method),
		['POST', 'POST', 'POST', 'DELETE', 'GET', 'GET'],
	);
	await stage.quiet();
});
