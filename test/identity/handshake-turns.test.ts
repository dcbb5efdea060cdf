import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { identity } from '../../src/model/agent.ts';
import { AgentHandshakes, type Shaken } from '../../src/proxy/listener/handshake.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('what is heard late of one handshake does not end the next', async t => {
	const workspace = makeWorkspace(t);
	const server = workspace.server('self');
	const id = parseSpiffeId('spiffe://example.org/agents/a');
	assert.ok(!('broken' in id));
	const handshakes = new AgentHandshakes(
		{
			problem: () => undefined,
			serverTlsOptions: () => ({ cert: readFileSync(server.certificate), key: readFileSync(server.key) }),
			identifyTls: () => identity(id, 'mtls'),
		},
		'listener',
		60_000,
		undefined,
	);
	const accepted: Socket[] = [];
	let told: () => void = () => {};
	const listening = createServer({ allowHalfOpen: true }, socket => {
		socket.on('error', () => {});
		accepted.push(socket);
		told();
	});
	await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve));
	t.after(() => listening.close());
	const { port } = listening.address() as AddressInfo;
	/** A client and the socket on which it was accepted. */
	const open = async (): Promise<{ client: Socket; socket: Socket }> => {
		const there = new Promise<void>(resolve => {
			told = resolve;
		});
		const client = connect({ host: '127.0.0.1', port });
		t.after(() => client.destroy());
		client.on('error', () => {});
		await there;
		const socket = accepted.at(-1);
		assert.ok(socket);
		return { client, socket };
	};

	for (let turn = 0; turn < 5; turn++) {
		const leaving = await open();
		const staying = await open();
		// In the moment in which the first is known to be over, the second begins.
		const result = new Promise<Shaken>(resolve => {
			handshakes.accept(leaving.socket, undefined, refused => {
				assert.ok('cause' in refused && refused.cause === 'identity_missing');
				handshakes.accept(staying.socket, undefined, resolve);
			});
		});
		leaving.client.end();
		const secured = connectTls({ socket: staying.client, rejectUnauthorized: false });
		secured.on('error', () => {});
		const shaken = await result;
		assert.ok(!('cause' in shaken), `turn ${turn}: ${JSON.stringify(shaken)}`);
		shaken.socket.destroy();
	}
});
