import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { openWire } from '../support/wire.ts';
import { openStage } from './stage.ts';

test("an agent's own value of the field never arrives, in whatever way it is sent, and policy sees neither", async t => {
	const stage = await openStage(
		t,
		{ header: { name: 'x-api-key', value: 'held-secret' } },
		{
			policy: policyOf(
				'allow if not input.http.headers["x-api-key"]\n\ndeny contains "seen" if input.http.headers.x_api_key',
			),
		},
	);
	const address = stage.sallyport.address('egress');
	const host = `crm.internal:${stage.crm.port}`;
	const heads = [
		'x-api-key: own-1',
		'X-API-KEY: own-2',
		'x-api-key: own-3\r\nX-Api-Key: own-4',
		'x_api_key: own-5\r\nX_Api-Key: own-6',
		'Connection: x-api-key\r\nx-api-key: own-7',
		'Connection: keep-alive, X-Api-Key',
		'x-api-key:',
	];
	for (const head of heads) {
		const wire = await openWire(t, address, { agent: stage.workspace.agent('a') });
		wire.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${head}\r\n\r\n`);
		assert.match(await wire.receives('\r\n\r\n'), /^HTTP\/1\.1 200 /, head);
		wire.socket.destroy();
	}
	// Behind a body, where some servers merge fields into those of the head.
	const wire = await openWire(t, address, { agent: stage.workspace.agent('a') });
	wire.send(
		`POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nTrailer: x-api-key\r\n\r\n`,
	);
	wire.send('2\r\nhi\r\n0\r\nx-api-key: own-8\r\n\r\n');
	assert.match(await wire.receives('\r\n\r\n'), /^HTTP\/1\.1 200 /);

	assert.equal(stage.crm.seen.length, heads.length + 1);
	for (const { rawHeaders } of stage.crm.seen) {
		const names = rawHeaders.filter((_, at) => at % 2 === 0).map(name => name.toLowerCase().replaceAll('_', '-'));
		assert.deepEqual(
			names.filter(name => name === 'x-api-key'),
			['x-api-key'],
		);
		assert.equal(rawHeaders[rawHeaders.indexOf('x-api-key') + 1], 'held-secret');
	}
	assert.doesNotMatch(stage.crm.raw().toString('latin1'), /own-\d/);
	const records = JSON.stringify(stage.sallyport.records());
	assert.doesNotMatch(records, /own-\d|held-secret/);
	assert.match(records, /"credential":"0"/);
});
