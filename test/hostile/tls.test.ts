import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { mintCa } from '../../src/identity/dev-ca.ts';
import { openStage } from '../http/support-stage.ts';
import { atDoor, curl } from '../support/curl.ts';
import { until } from '../support/until.ts';
import { exchangeRaw, openWire } from '../support/wire.ts';

test('what is no TLS is refused and recorded, and the next good call works', async t => {
	const stage = await openStage(t, { limits: { handshake: '1s' } });
	const address = stage.sallyport.address('egress');
	const refused = (detail: RegExp) =>
		stage.sallyport.waitForRecord(
			record => record['event'] === 'refused' && detail.test(String(record['detail'])),
			String(detail),
		);
	await exchangeRaw(t, address, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
	await refused(/plain HTTP instead of TLS/);
	await exchangeRaw(t, address, `CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n`);
	await exchangeRaw(t, address, randomBytes(4096));
	await exchangeRaw(t, address, Buffer.from([0x80, 0x2e, 1, 3, 1]));
	await refused(/not TLS/);
	const half = await openWire(t, address);
	half.send(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
	await half.closed();
	await refused(/limits\.handshake/);
	const nothing = await openWire(t, address);
	nothing.socket.end();
	await nothing.closed();
	await refused(/closed in the TLS handshake/);
	const old = await openWire(t, address, {
		tls: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
	}).catch(() => undefined);
	assert.equal(old, undefined);
	await stage.good('all of them');
	await stage.quiet();
	await until(
		async () => /^sallyport_connections\{listener="egress"\} 0$/m.test(await stage.sallyport.metrics()),
		'no connection is left',
	);
});

test('who shows no SVID, or one that breaks a rule, is told so with 403 and recorded; nothing goes upstream', async t => {
	const stage = await openStage(t);
	const { workspace, sallyport } = stage;
	const uri = (value: string) => ({ kind: 'uri', value }) as const;
	const id = 'spiffe://example.org/agents/a';
	const other = mintCa('example.org', { now: Date.now(), lifetime: 3_600_000 });
	const foreign = mintCa('other.org', { now: Date.now(), lifetime: 3_600_000 });
	const bad = [
		{ name: 'none', pair: undefined, cause: 'identity_missing' },
		{ name: 'expired', pair: workspace.issue('expired', id, { lifetime: -60_000 }), cause: 'identity_expired' },
		{ name: 'of another CA', pair: workspace.issue('other', id, { issuer: other }), cause: 'identity_invalid' },
		{
			name: 'two ids',
			pair: workspace.issue('two', id, { names: [uri('spiffe://example.org/agents/b')] }),
			cause: 'identity_invalid',
		},
		{
			name: 'of another trust domain',
			pair: workspace.issue('foreign', 'spiffe://other.org/agents/a', { issuer: foreign }),
			cause: 'identity_invalid',
		},
	];
	for (const { name, pair, cause } of bad) {
		const call = await curl([
			...['--proxy', `https://${sallyport.address('egress')}`, '--proxy-cacert', workspace.ca],
			...(pair === undefined ? [] : ['--proxy-cert', pair.certificate, '--proxy-key', pair.key]),
			`${stage.origin}/x`,
		]);
		assert.equal(call.status, 403, `${name}: ${call.error} ${call.body}`);
		assert.equal(call.json()['cause'], cause, `${name}: ${call.body}`);
		await sallyport.waitForRecord(record => record['event'] === 'refused' && record.cause === cause, name);
	}
	assert.equal(stage.tool.connections(), 0);
	await stage.good('all of them');
	await stage.quiet();
});

test('an agent may use only the listeners that are for it', async t => {
	const stage = await openStage(t, {
		listeners: [
			{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
			{ name: 'door', address: '127.0.0.1:0', upstream: 'tool', agents: ['spiffe://example.org/agents/b'] },
		],
	});
	const { workspace, sallyport } = stage;
	const at = (agent: string) =>
		curl([...atDoor(workspace, workspace.agent(agent)), `https://${sallyport.address('door')}/x`]);
	const refused = await at('a');
	assert.equal(refused.status, 403);
	assert.equal(refused.json()['cause'], 'listener_forbidden');
	assert.equal((await at('b')).status, 200);
	await sallyport.waitForRecord(
		record => record['event'] === 'refused' && record.cause === 'listener_forbidden',
		'the refusal',
	);
	await stage.quiet();
});
