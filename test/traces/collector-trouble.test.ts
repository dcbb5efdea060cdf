import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a collector that takes nothing costs spans and no calls; over TLS, with a credential; a tunnel has a span too', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const pair = workspace.server('collector');
	const seen: { readonly authorization: string | undefined; readonly body: string }[] = [];
	let status = 400;
	const tls = { cert: readFileSync(pair.certificate), key: readFileSync(pair.key) };
	const server = createServer(tls, (request, response) => {
		const chunks: Buffer[] = [];
		request.on('data', (chunk: Buffer) => chunks.push(chunk));
		request.on('end', () => {
			seen.push({ authorization: request.headers.authorization, body: Buffer.concat(chunks).toString('utf8') });
			response.writeHead(status, { 'content-type': 'application/json' }).end('{"message":"seed-of-the-answer"}');
		});
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	workspace.write('secrets/traces', 'seed-of-the-traces\n');
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: {
				crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http', tunnel: 'allow' },
			},
			telemetry: {
				traces: {
					otlp: {
						url: `https://localhost:${(server.address() as AddressInfo).port}/v1/traces`,
						roots: 'certs/ca.pem',
						credential: { bearer: { file: 'secrets/traces' } },
					},
				},
			},
		},
	});
	const through = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
	const url = `http://crm.internal:${upstream.port}/`;
	assert.equal((await curl([...through, url])).status, 200);
	await sallyport.waitForLog(({ msg }) => msg === 'the collector takes no spans: they are lost', 'it is told');
	assert.match(await sallyport.metrics(), /sallyport_spans_total\{result="lost"\} 1/);
	status = 200;
	assert.equal((await curl([...through, '--proxytunnel', url])).status, 200);
	await sallyport.waitForLog(({ msg }) => msg === 'the collector takes spans again', 'it is told');
	assert.ok(seen.some(({ body }) => body.includes('"tunnel connect"')));
	assert.ok(seen.every(({ authorization }) => authorization === 'Bearer seed-of-the-traces'));
	await until(() => sallyport.records().some(({ type }) => type === 'outcome'), 'records go on');
	assert.ok(!(sallyport.stderr() + JSON.stringify(sallyport.records())).includes('seed-of'));
});
