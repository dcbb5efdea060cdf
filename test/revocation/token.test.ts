import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';
import { idOf, openStage } from './stage.ts';

test('a revoked token is dead at once, on open connections too, and another one is written in its place', async t => {
	const token = {
		directory: 'tokens',
		agents: ['spiffe://example.org/agents/a', 'spiffe://example.org/agents/b'],
		rotate: '0',
	};
	const { workspace, sallyport, revoke, get } = await openStage(t, {
		config: { listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', authenticate: { token } }] },
	});
	const file = (name: string): string => workspace.path('tokens', name, 'token');
	const read = (name: string): string => readFileSync(file(name), 'utf8');
	const connect = () => openWire(t, sallyport.address('egress'));
	const shown = (secret: string): string => get('/', `Proxy-Authorization: Bearer ${secret}\r\n`);
	const [leaked, others] = [read('a'), read('b')];
	const [open, other] = [await connect(), await connect()];
	open.send(shown(leaked));
	await open.receives('HTTP/1.1 200');
	other.send(shown(others));
	await other.receives('HTTP/1.1 200');

	const ran = await revoke('--token-file', file('a'), '--reason', 'in a log', '--json');
	assert.equal(ran.code, 0, ran.err);
	const fingerprint = createHash('sha256').update(leaked).digest('hex').slice(0, 16);
	const { revocation, connections } = JSON.parse(ran.out);
	assert.deepEqual([revocation.what, connections], [`token:${fingerprint}`, 1]);
	await open.closed();
	const call = sallyport.records().find(({ type }) => type === 'decision');
	assert.equal(call?.call?.['token'], fingerprint, 'the record of a call says which token it was');

	await until(() => read('a') !== leaked, 'another token is written');
	const late = await connect();
	late.send(shown(leaked));
	assert.match(await late.receives('"cause"'), /^HTTP\/1\.1 403 [\s\S]*"cause":"revoked"/);
	const again = await connect();
	await until(async () => {
		const wire = await connect();
		wire.send(shown(read('a')));
		return /^HTTP\/1\.1 200/.test(await wire.receives('\r\n\r\n'));
	}, 'the new token is taken');
	other.send(shown(others));
	await until(() => other.text().split('HTTP/1.1 200').length === 3, "the other agent's is good still");

	// A connection that was begun with the new token and then shows the dead one.
	again.send(shown(read('a')));
	await again.receives('HTTP/1.1 200');
	again.send(shown(leaked));
	await again.receives('"cause":"revoked"');

	// Nobody was shown a token: not the records, not the log.
	const seen = JSON.stringify(sallyport.records()) + sallyport.stderr() + ran.out + ran.err;
	for (const secret of [leaked, others, read('a')]) assert.equal(seen.includes(secret), false);
});

test('a revoked token takes the idle upstream connections of its agent along, although no connection of its own is open', async t => {
	const token = { directory: 'tokens', agents: [idOf('a'), idOf('b')] };
	const { workspace, sallyport, order, get } = await openStage(t, {
		config: { listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy', authenticate: { token } }] },
	});
	const secrets = ['a', 'b'].map(name => readFileSync(workspace.path('tokens', name, 'token'), 'utf8'));
	for (const secret of secrets) {
		const wire = await openWire(t, sallyport.address('egress'));
		wire.send(get('/', `Proxy-Authorization: Bearer ${secret}\r\nConnection: close\r\n`));
		assert.match(await wire.closed(), /^HTTP\/1\.1 200/);
	}
	const kept = async () => /^sallyport_upstream_connections (\d+)$/m.exec(await sallyport.metrics())?.[1];
	assert.equal(await kept(), '2');
	const fingerprint = createHash('sha256')
		.update(secrets[0] ?? '')
		.digest('hex')
		.slice(0, 16);
	assert.equal((await order(`token:${fingerprint}`))['connections'], 0);
	await until(async () => (await kept()) === '1', "the agent's goes, the other agent's stays");
});
