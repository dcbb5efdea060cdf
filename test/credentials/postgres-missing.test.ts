import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { pgError } from '../support/pg.ts';
import { startSallyport } from '../support/sallyport.ts';
import { listenRaw } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a session without a credential is decided so: nothing says that it was allowed, and nothing is dialled', async t => {
	const workspace = makeWorkspace(t);
	const db = await listenRaw(t, socket => socket.destroy());
	const agents = ['a', 'b'].map(name => `spiffe://example.org/agents/${name}`);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{
					name: 'orders',
					address: '127.0.0.1:0',
					upstream: 'orders',
					authenticate: { token: { directory: 'tokens', agents } },
				},
			],
			upstreams: {
				orders: {
					address: db.address,
					protocol: 'postgres',
					credentials: [{ agents: agents.slice(1), username: 'app', password: { command: ['false'] } }],
				},
			},
		},
	});
	const port = Number(sallyport.address('orders').split(':').at(-1));
	for (const [name, detail] of [
		['a', undefined],
		['b', 'the credential for this upstream is not available now'],
	] as const) {
		const password = readFileSync(workspace.path('tokens', name, 'token'), 'utf8');
		const error = await pgError({ port, user: 'any', database: 'postgres', password });
		assert.deepEqual([error.code, error.detail], ['28000', detail]);
		assert.match(error.message, /no_credential/);
	}
	const records = sallyport.records().filter(({ type }) => type === 'decision' || type === 'outcome');
	assert.deepEqual(
		records.map(({ type, cause }) => `${type} ${cause}`),
		['decision no_credential', 'decision no_credential'],
	);
	assert.equal(db.connections(), 0);
});
