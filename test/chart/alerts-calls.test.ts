import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { freePort } from '../cli/run.ts';
import { openStage as openCredentials } from '../credentials/stage.ts';
import { following, makeSigner } from '../revocation/fleet.ts';
import { openStage } from '../revocation/stage.ts';
import { toolFor } from '../support/chart.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { openWire } from '../support/wire.ts';
import { assertFires, longWorkspace, sampleOf, scrape } from './firing.ts';

test('a credential that cannot be had', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	workspace.write('secrets/crm', 'seed\n');
	const stage = await openCredentials(t, { bearer: { file: 'secrets/crm' } }, { workspace });
	assert.equal((await stage.call()).status, 200);
	const before = await scrape(stage.sallyport);
	await stage.sallyport.stop();
	const without = await openCredentials(t, { bearer: { command: ['cat', 'secrets/none'] } }, { workspace });
	assert.notEqual((await without.call()).status, 200);
	const after = await scrape(without.sallyport);
	// It is a part of what is reloaded too.
	assertFires(t, promtool, ['SallyportCredentialInvalid', 'SallyportReloadFailed'], { texts: [before, after] });
});

test('an upstream that nobody reaches', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const port = await freePort();
	const stage = await openStage(t, {
		workspace: longWorkspace(t),
		policy: policyOf('allow := true'),
		upstreams: { crm: { address: `127.0.0.1:${port}`, hosts: ['crm.internal'], protocol: 'http' } },
	});
	const wire = await stage.connect(stage.workspace.agent('researcher'));
	wire.send(stage.get('/'));
	await wire.receives('HTTP/1.1 200');
	const before = await scrape(stage.sallyport);
	const host = `crm.internal:${port}`;
	wire.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
	await wire.receives('"cause":"upstream_unreachable"');
	const after = await scrape(stage.sallyport);
	assertFires(t, promtool, ['SallyportUpstreamFails'], { texts: [before, after], lasting: true });
});

test('strangers, who have no certificate', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const sallyport = await startSallyport(t, workspace);
	const before = await scrape(sallyport);
	// More than one a second, if it goes on like this.
	for (let connection = 0; connection < 90; connection++) {
		const wire = await openWire(t, sallyport.address('egress'), { tls: {} });
		wire.send('GET http://crm.internal/ HTTP/1.1\r\nHost: crm.internal\r\nConnection: close\r\n\r\n');
		await wire.closed();
	}
	const after = await scrape(sallyport);
	assertFires(t, promtool, ['SallyportStrangers'], { texts: [before, after], lasting: true, later: 18 });
});

test('a list of revocations that nobody renews', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const signer = makeSigner();
	workspace.write('fleet.pub', signer.publicKey);
	workspace.write('list.jws', signer.list(1));
	const sallyport = await startSallyport(t, workspace, {
		config: { identity: following({ file: 'list.jws', max_age: '24h' }) },
	});
	const issued = 'sallyport_revocations_issued_timestamp_seconds';
	const text = await scrape(sallyport, text => sampleOf(text, issued) > 0, 'the list is in force');
	assertFires(t, promtool, ['SallyportRevocationsOld'], { texts: [text, text], later: 70 });
});

test('a collector of traces that takes nothing', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	let status = 200;
	const collector = createServer((request, response) => {
		request.resume().on('end', () => response.writeHead(status).end('{}'));
	});
	await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		collector.closeAllConnections();
		collector.close();
	});
	const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`;
	const stage = await openStage(t, {
		workspace: longWorkspace(t),
		config: { telemetry: { traces: { otlp: { url } } } },
	});
	const wire = await stage.connect(stage.workspace.agent('researcher'));
	const told = (result: string): Promise<string> =>
		scrape(stage.sallyport, text => text.includes(`sallyport_spans_total{result="${result}"}`), `a span is ${result}`);
	wire.send(stage.get('/'));
	const before = await told('taken');
	status = 400;
	wire.send(stage.get('/'));
	assertFires(t, promtool, ['SallyportSpansLost'], { texts: [before, await told('lost')] });
});
