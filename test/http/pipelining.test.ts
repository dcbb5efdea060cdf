import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openStage } from './support-stage.ts';

test('pipelined requests are each decided, and answered in order', async t => {
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
	await until(() => held.size === 4, 'all four are under way');
	for (const path of ['/4', '/3', '/2', '/1']) held.get(path)?.end(`answer to ${path}`);
	const all = await wire.receives('answer to /4');
	assert.deepEqual(all.match(/answer to \/\d/g), ['answer to /1', 'answer to /2', 'answer to /3', 'answer to /4']);
	assert.equal(stage.decisions().length, 4);
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

test('garbage or a CONNECT behind a request ends the connection and does not land within the answer', async t => {
	const stage = await openStage(t, {
		tool: {
			answer: (_request, response) => {
				response.writeHead(200).write('begun');
			},
		},
	});
	for (const behind of ['garbage\r\n\r\n', `CONNECT ${stage.host} HTTP/1.1\r\nHost: ${stage.host}\r\n\r\n`]) {
		const wire = await stage.wire();
		wire.send(stage.request('GET', '/stream'));
		await wire.receives('begun');
		wire.send(behind);
		const all = await wire.closed();
		assert.equal(all.match(/HTTP\/1\.1 /g)?.length, 1, all);
		await stage.quiet();
	}
	await stage.sallyport.waitForRecord(
		record => record['event'] === 'refused' && /HPE_/.test(String(record['detail'])),
		'garbage',
	);
	await stage.sallyport.waitForRecord(
		record => record['event'] === 'refused' && /CONNECT behind/.test(String(record['detail'])),
		'CONNECT',
	);
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
