import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cancelRequest } from '../../src/protocols/postgres/messages.ts';
import { greeting } from '../support/conversations.ts';
import { atDoor, curl } from '../support/curl.ts';
import { keyOf, pgClient } from '../support/pg.ts';
import { exchangeRaw } from '../support/raw.ts';
import { readRecords } from '../support/records.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { listenRaw } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const CANCEL_CODE = 80877102;
const MOST = 1000;

test('a cancel request is forwarded when its record is written, and refused when it cannot be', async t => {
	const workspace = makeWorkspace(t);
	const actions = (): unknown[] => readRecords(workspace.path('var/audit')).map(({ action }) => action);
	/** What was recorded by the time that each cancel request came. */
	const cancels: unknown[][] = [];
	const database = await listenRaw(t, socket => {
		socket.on('data', data => {
			if (data.length >= 8 && data.readInt32BE(4) === CANCEL_CODE) {
				cancels.push(actions());
				socket.end();
			} else socket.write(greeting);
		});
		socket.on('end', () => socket.end());
	});
	const crm = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{ name: 'orders', address: '127.0.0.1:0', upstream: 'orders' },
				{ name: 'crm', address: '127.0.0.1:0', upstream: 'crm' },
			],
			upstreams: {
				orders: { address: database.address, protocol: 'postgres' },
				crm: { address: crm.address, protocol: 'http' },
			},
			audit: { limit: '128KiB', segment: { size: '32KiB' }, agent_share: 1 },
		},
	});
	const port = Number(sallyport.address('orders').split(':')[1]);
	const agent = workspace.agent('a');
	const read = (path: string): string => readFileSync(path, 'utf8');
	const ssl = { ca: read(workspace.ca), cert: read(agent.certificate), key: read(agent.key) };
	const client = pgClient({ port, user: 'app', database: 'shop', ssl });
	await client.connect();

	await exchangeRaw(port, cancelRequest(keyOf(client)));
	assert.equal(cancels.length, 1);
	assert.equal(cancels[0]?.filter(action => action === 'cancel').length, 1, 'the record came first');

	const url = `https://${sallyport.address('crm').replace('127.0.0.1', 'localhost')}`;
	await curl([...atDoor(workspace, agent), '-o', '/dev/null', `${url}/[1-${MOST}]`], { limit: 60 });
	assert.equal((await curl([...atDoor(workspace, agent), url])).status, 503, 'the records are full');
	const connections = database.connections();
	await exchangeRaw(port, cancelRequest(keyOf(client)));
	assert.equal(database.connections(), connections, 'nothing was dialled');
	assert.equal(cancels.length, 1);
	assert.equal(actions().filter(action => action === 'cancel').length, 1);
	const metric = /sallyport_refused_connections_total\{listener="orders",cause="audit_unavailable"\} 1/;
	assert.match(await sallyport.metrics(), metric);
});
