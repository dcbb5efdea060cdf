import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { pgClient, pgError } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { idOf, openStage } from './stage.ts';

test('a tunnel and the sessions of tcp and Postgres doors are cut, on both sides, in the words of each', async t => {
	const workspace = makeWorkspace(t);
	const db = await usePostgres(t);
	let raw = 0;
	const far = await listenRaw(t, socket => {
		raw++;
		socket
			.on('data', data => socket.write(data))
			.on('end', () => socket.end())
			.on('close', () => raw--);
	});
	const { sallyport, order, connect } = await openStage(t, {
		workspace,
		config: {
			listeners: [
				{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' },
				{ name: 'opaque', address: '127.0.0.1:0', upstream: 'opaque' },
				{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders' },
			],
		},
		upstreams: {
			opaque: { address: far.address, protocol: 'tcp' },
			orders: { address: `127.0.0.1:${db.port}`, protocol: 'postgres' },
		},
	});
	const agents = ['a', 'b'] as const;
	const port = Number(sallyport.address('orders').split(':').at(-1));
	const read = (path: string): string => readFileSync(path, 'utf8');
	const options = (name: string) => {
		const { certificate, key } = workspace.agent(name);
		return {
			port,
			user: 'postgres',
			database: 'postgres',
			ssl: { ca: read(workspace.ca), cert: read(certificate), key: read(key) },
		};
	};
	const opened = await Promise.all(
		agents.map(async name => {
			const tunnel = await connect(workspace.agent(name));
			tunnel.send(`CONNECT ${far.address} HTTP/1.1\r\nHost: ${far.address}\r\n\r\n`);
			await tunnel.receives('200 Connection Established');
			tunnel.send(`tunnel of ${name}`);
			await tunnel.receives(`tunnel of ${name}`);
			const opaque = await openWire(t, sallyport.address('opaque'), { agent: workspace.agent(name) });
			opaque.send(`session of ${name}`);
			await opaque.receives(`session of ${name}`);
			const client = pgClient(options(name));
			await client.connect();
			await client.query('select 1');
			return { tunnel, opaque, client };
		}),
	);
	const [a, b] = opened;
	assert.ok(a !== undefined && b !== undefined);
	t.after(() => b.client.end().catch(() => {}));
	await until(() => raw === 4, 'four connections to the far side');

	const told = once(a.client, 'error');
	const { connections } = await order(idOf('a'));
	assert.equal(connections, 3);
	const [error] = await told;
	assert.deepEqual([error.severity, error.code], ['FATAL', '57P01']);
	assert.match(error.message, /revoked/);
	await a.tunnel.closed();
	await a.opaque.closed();
	await until(() => raw === 2, "the far side's connections of the revoked agent are closed");

	// The other agent's go on.
	b.tunnel.send('still here');
	await b.tunnel.receives('still here');
	b.opaque.send('still here');
	await b.opaque.receives('still here');
	assert.equal((await b.client.query('select 40 + 2 as n')).rows[0].n, 42);

	// And nothing new is opened.
	const refused = await pgError(options('a'));
	assert.equal(refused.code, '28000');
	assert.match(refused.message, /revoked/);
	const wire = await openWire(t, sallyport.address('opaque'), { agent: workspace.agent('a') });
	await wire.closed();
	await until(
		() => sallyport.records().filter(({ type, cause }) => type === 'outcome' && cause === 'revoked').length === 3,
		'three outcomes',
	);
	assert.equal(raw, 2, 'nobody dialled for it');
});
