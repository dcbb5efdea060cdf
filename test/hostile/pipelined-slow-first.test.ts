import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { policyOf, type Sallyport, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** Calls that are open. */
const open = async (sallyport: Sallyport): Promise<number> =>
	Number(/^sallyport_calls_open (\d+)$/m.exec(await sallyport.metrics())?.[1]);

test('pipelined behind a slow answer, then gone: places among requests_in_flight come back', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t, {
		answer: (request, response) => {
			if (request.url !== '/slow') response.end('x');
		},
	});
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			limits: { requests_in_flight: 100 },
		},
		// Mallory may call one path; what it pipelines behind may even be refused.
		policy: policyOf('allow if input.agent.path != "/agents/mallory"\nallow if input.http.path == "/slow"'),
	});
	const egress = sallyport.address('egress');
	const host = `crm.internal:${upstream.port}`;
	const get = (path: string) => `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
	const victim = throughProxy(workspace, egress, workspace.agent('victim'));
	for (let i = 0; i < 3; i++) {
		const wire = await openWire(t, egress, { agent: workspace.agent('mallory') });
		wire.send(get('/slow') + get('/no').repeat(40));
		await until(() => upstream.seen.filter(({ url }) => url === '/slow').length === i + 1, 'the first is under way');
		wire.socket.destroy();
	}
	await until(async () => (await open(sallyport)) === 0, 'nothing is open any more');
	const call = await curl([...victim, `http://${host}/`]);
	assert.equal(call.status, 200, call.body);
});

test('one agent, one connection, pipelining: it takes no more than its share of requests_in_flight', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t, {
		answer: (request, response) => {
			if (request.url !== '/slow') response.end('x');
		},
	});
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
	});
	const egress = sallyport.address('egress');
	const host = `crm.internal:${upstream.port}`;
	const victim = throughProxy(workspace, egress, workspace.agent('victim'));
	const wire = await openWire(t, egress, { agent: workspace.agent('mallory') });
	wire.send(`GET http://${host}/slow HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(1024));
	await until(() => upstream.seen.some(({ url }) => url === '/slow'), 'the first is under way');
	const call = await curl([...victim, `http://${host}/`]);
	assert.equal(call.status, 200, call.body);
	assert.equal(await open(sallyport), 1, 'those behind it wait');
	assert.equal(upstream.seen.length, 2);
});
