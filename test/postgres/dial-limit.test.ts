import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { greeting } from '../support/conversations.ts';
import { pgClient, pgError } from '../support/pg.ts';
import { startSallyport } from '../support/sallyport.ts';
import { listenRaw } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const LIMIT = 1000;

test('limits.dial is one time for connection and TLS together: what came late leaves none for the handshake', async t => {
	const workspace = makeWorkspace(t);
	const pair = workspace.server('db');
	const cert = readFileSync(pair.certificate);
	const key = readFileSync(pair.key);
	let patience = 0;
	let secured = 0;
	const database = await listenRaw(t, socket => {
		socket.once('data', () =>
			setTimeout(() => {
				socket.write('S');
				const tls = new TLSSocket(socket, { isServer: true, cert, key });
				tls.on('error', () => {});
				tls.on('secure', () => secured++);
				// A start-up message has no type; Terminate (`X`) is the only other one that comes.
				tls.on('data', data => (data[0] === 0x58 ? tls.end() : tls.write(greeting)));
			}, patience),
		);
	});
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders' }],
			upstreams: {
				orders: { address: `localhost:${database.port}`, protocol: 'postgres', tls: { trust_bundle: 'certs/ca.pem' } },
			},
			limits: { dial: `${LIMIT}ms`, handshake: '60s' },
		},
	});
	const port = Number(sallyport.address('orders').split(':')[1]);
	const agent = workspace.agent('a');
	const read = (path: string): string => readFileSync(path, 'utf8');
	const ssl = { ca: read(workspace.ca), cert: read(agent.certificate), key: read(agent.key) };
	const options = { port, user: 'app', database: 'shop', ssl };

	const client = pgClient(options);
	await client.connect();
	await client.end();
	assert.equal(secured, 1, 'in time it goes through');

	patience = LIMIT + 100;
	const error = await pgError(options);
	assert.match(error.message, /upstream_timeout/);
	assert.equal(error.detail, 'limits.dial');
	assert.equal(secured, 1, 'there was no second time for TLS alone');
	await sallyport.waitForRecord(({ cause }) => cause === 'upstream_timeout', 'the outcome');
});
