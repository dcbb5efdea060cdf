import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from './support-stage.ts';

test('HEAD, 204 and 304 have no body, whatever length they state, and the connection goes on', async t => {
	const stage = await openStage(t, {
		tool: {
			answer: (request, response) => {
				const { pathname } = new URL(request.url ?? '/', 'http://tool.test');
				response.sendDate = false;
				if (pathname === '/204') response.writeHead(204, { 'x-answer': '204' });
				else if (pathname === '/304') response.writeHead(304, { 'content-length': '1234', etag: '"v1"' });
				else response.writeHead(200, { 'content-length': '5', 'x-answer': request.method ?? '' });
				response.end(request.method === 'HEAD' || pathname !== '/' ? undefined : 'hello');
			},
		},
	});
	const wire = await stage.wire();
	const ask = async (method: string, path: string, mark: RegExp): Promise<string> => {
		const before = wire.text().length;
		wire.send(stage.request(method, path));
		await wire.receives(new RegExp(`^[^]{${before}}${mark.source}`));
		return wire.text().slice(before);
	};
	const head = await ask('HEAD', '/', /[\s\S]*\r\n\r\n/);
	assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
	assert.match(head, /content-length: 5\r\n/i, 'the length of the body that GET would give');
	const empty = await ask('GET', '/204', /[\s\S]*\r\n\r\n/);
	assert.match(empty, /^HTTP\/1\.1 204 No Content\r\n/);
	assert.doesNotMatch(empty, /content-length|transfer-encoding/i);
	const unchanged = await ask('GET', '/304', /[\s\S]*\r\n\r\n/);
	assert.match(unchanged, /^HTTP\/1\.1 304 Not Modified\r\n/);
	assert.match(unchanged, /content-length: 1234\r\n/i);
	assert.match(unchanged, /etag: "v1"\r\n/i);
	const whole = await ask('GET', '/', /[\s\S]*hello/);
	assert.match(whole, /^HTTP\/1\.1 200 OK\r\n/, 'on the same connection');
	await stage.quiet();
});
