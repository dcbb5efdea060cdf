import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('pipelined requests are decided one after the other, each when the one before it was answered', async t => {
	const held = new Map<string, ServerResponse>();
	const stage = await openStage(t, {
		tool: {
			answer: (request, response) => {
				held.set(request.url ?? '', response);
				request.resume();
			},
		},
	});
	const wire = await stage.wire();
	wire.send(
		stage.request('GET', '/1') +
			stage.request('POST', '/2', 'Content-Length: 3', 'two') +
			stage.request('POST', '/3', 'Transfer-Encoding: chunked', '5\r\nthree\r\n0\r\n\r\n') +
			stage.request('GET', '/4'),
	);
	for (const [before, path] of ['/1', '/2', '/3', '/4'].entries()) {
		await until(() => held.has(path), `${path} is under way`);
		assert.equal(held.size, before + 1, 'nothing behind it is');
		held.get(path)?.end(`answer to ${path}`);
	}
	const all = await wire.receives('answer to /4');
	assert.deepEqual(all.match(/answer to \/\d/g), ['answer to /1', 'answer to /2', 'answer to /3', 'answer to /4']);
	assert.equal(stage.decisions().length, 4);
	assert.deepEqual(
		stage.tool.seen.map(({ body }) => body().toString()),
		['', 'two', 'three', ''],
	);
	await stage.quiet();
});

test('what follows a refusal that ends the connection, or a request that asked for its end, is not looked at', async t => {
	const stage = await openStage(t);
	const { host, origin } = stage;
	const smuggled = stage.request('GET', '/smuggled');
	const refused = await stage.wire();
	refused.send(
		`POST ${origin}/x HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`,
	);
	const all = await refused.closed();
	assert.match(all, /^HTTP\/1\.1 400 Bad Request undecodable /);
	assert.equal(all.match(/^HTTP\/1\.1 /gm)?.length, 1);
	const asked = await stage.wire();
	asked.send(stage.request('GET', '/last', 'Connection: close') + smuggled);
	assert.match(await asked.closed(), /^HTTP\/1\.1 200 /);
	await stage.quiet();
	assert.deepEqual(
		stage.tool.seen.map(({ url }) => url),
		['/last'],
	);
	assert.equal(stage.decisions().length, 2);
});

test('garbage or a CONNECT behind a request does not land within the answer and is refused behind it', async t => {
	let finish: (() => void) | undefined;
	const stage = await openStage(t, {
		tool: {
			answer: (_request, response) => {
				response.writeHead(200).write('begun');
				finish = () => response.end('ended');
			},
		},
	});
	for (const [behind, refusal] of [
		['garbage\r\n\r\n', /^HTTP\/1\.1 400 Bad Request undecodable/m],
		[
			`CONNECT ${stage.host} HTTP/1.1\r\nHost: ${stage.host}\r\n\r\n`,
			/^HTTP\/1\.1 403 Forbidden tunnel_to_inspected /m,
		],
	] as const) {
		const wire = await stage.wire();
		wire.send(stage.request('GET', '/stream'));
		await wire.receives('begun');
		wire.send(behind);
		assert.equal(wire.text().match(/HTTP\/1\.1 /g)?.length, 1);
		finish?.();
		const all = await wire.closed();
		assert.match(all, /begun\r\n5\r\nended\r\n0\r\n\r\nHTTP\/1\.1 4/, 'the answer is whole');
		assert.match(all, refusal);
		await stage.quiet();
	}
	await stage.sallyport.waitForRecord(record => record['cause'] === 'undecodable', 'garbage');
	await stage.sallyport.waitForRecord(record => record['cause'] === 'tunnel_to_inspected', 'CONNECT');
});

test('a chunk that cannot be read ends the call that it belongs to', async t => {
	const stage = await openStage(t);
	const wire = await stage.wire();
	wire.send(stage.request('POST', '/chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n'));
	await stage.tool.request(1);
	wire.send('zz\r\n');
	assert.match(await wire.closed(), /^HTTP\/1\.1 400 Bad Request undecodable /);
	assert.equal((await stage.outcome()).cause, 'undecodable');
	assert.equal(stage.tool.seen[0]?.ended(), false, 'the upstream does not take it for whole');
	await stage.good('it');
	await stage.quiet();
});
