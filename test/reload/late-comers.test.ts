import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { reload, statusOf } from './support.ts';

test('an agent whose handshake a reload overtakes is served by the new configuration', async t => {
	const workspace = makeWorkspace(t);
	const first = await startUpstream(t, { answer: (_request, response) => response.end('first') });
	const second = await startUpstream(t, { answer: (_request, response) => response.end('second') });
	const config = (address: string) => ({
		listeners: [{ name: 'door', address: '127.0.0.1:0', upstream: 'crm' }],
		upstreams: { crm: { address, protocol: 'http' } },
	});
	const sallyport = await startSallyport(t, workspace, { config: config(first.address) });
	const port = Number(sallyport.address('door').split(':')[1]);
	const raw = connect({ host: '127.0.0.1', port });
	t.after(() => raw.destroy());
	await until(async () => (await statusOf(workspace)).listeners[0]?.connections === 1, 'the connection is accepted');
	assert.equal((await reload(workspace, config(second.address))).taken, true);

	const agent = workspace.agent('a');
	const socket = connectTls({
		socket: raw,
		rejectUnauthorized: false,
		cert: readFileSync(agent.certificate),
		key: readFileSync(agent.key),
	});
	let answer = '';
	socket.setEncoding('utf8').on('data', (text: string) => {
		answer += text;
	});
	socket.on('error', () => {});
	socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
	await until(() => answer.includes('second'), `the answer: ${answer}`);
	assert.match(answer, /^HTTP\/1\.1 200 /);
	assert.equal((await statusOf(workspace)).config.retired, undefined);
});
