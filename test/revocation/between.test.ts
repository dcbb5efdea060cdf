import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { idOf, openStage } from './stage.ts';

test('revoked while its call is being read: the record says so, and nobody is asked', async t => {
	const { workspace, sallyport, upstream, order, connect } = await openStage(t, {
		policy: policyOf('allow if input.http.body.a == 1'),
	});
	const wire = await connect(workspace.agent('a'));
	const { address } = upstream;
	wire.send(
		`POST http://${address}/ HTTP/1.1\r\nHost: ${address}\r\nContent-Type: application/json\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n`,
	);
	await wire.receives('100 Continue');
	wire.send('{"a"');
	const { connections } = await order(idOf('a'));
	assert.equal(connections, 1);
	await wire.closed();
	const record = await sallyport.waitForRecord(({ type }) => type === 'decision', 'the call');
	assert.equal(record.cause, 'revoked');
	assert.equal(upstream.connections(), 0);
});

test('revoked between the decision and the act: nothing goes out, whatever was being dialled is dropped', async t => {
	const workspace = makeWorkspace(t);
	let open = 0;
	let bytes = 0;
	// It accepts, and says nothing: TLS never comes to an end.
	const mute = await listenRaw(t, socket => {
		open++;
		socket
			.on('data', data => {
				bytes += data.length;
			})
			.on('end', () => socket.end())
			.on('close', () => open--);
	});
	const { sallyport, order } = await openStage(t, {
		workspace,
		config: {
			listeners: [
				{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
				{
					name: 'local',
					address: `unix:${workspace.path('a.sock')}`,
					serves: 'http_proxy',
					authenticate: { as: idOf('a') },
				},
			],
		},
		upstreams: {
			mute: { address: mute.address, protocol: 'http', upgrade: true, tls: { trust_bundle: 'certs/ca.pem' } },
		},
	});
	const ask = `POST http://${mute.address}/ HTTP/1.1\r\nHost: ${mute.address}\r\nContent-Length: 6\r\n\r\nsecret`;
	const wires = [
		await openWire(t, sallyport.address('egress'), { agent: workspace.agent('a') }),
		await openWire(t, sallyport.address('local')),
	];
	for (const wire of wires) wire.send(ask);
	await until(() => open === 2 && bytes > 0, 'both are being dialled');
	assert.equal((await order(idOf('a')))['connections'], 2);
	for (const wire of wires) assert.match(await wire.closed(), /^HTTP\/1\.1 403 [\s\S]*"cause":"revoked"/);
	await until(() => open === 0, 'what was dialled is closed');
	const outcomes = sallyport.records().filter(({ type }) => type === 'outcome');
	assert.deepEqual(
		outcomes.map(({ cause }) => cause),
		['revoked', 'revoked'],
	);

	// By `as`, which no certificate and no token names.
	const late = await openWire(t, sallyport.address('local'));
	late.send(ask);
	assert.match(await late.receives('"cause":"revoked"'), /^HTTP\/1\.1 403 /);
	assert.equal(mute.connections(), 2, 'and nobody is dialled for it');
});
