import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { readRecordLines } from '../support/records.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { startCentral } from './central.ts';

test("records arrive in OPA's form, by mutual TLS with a credential, over failures, a kill -9 and a restart", async t => {
	const workspace = makeWorkspace(t);
	const server = workspace.server('central');
	const tls = {
		cert: readFileSync(server.certificate),
		key: readFileSync(server.key),
		ca: readFileSync(workspace.ca),
		requestCert: true,
		rejectUnauthorized: true,
	};
	const central = await startCentral(t, { tls });
	const upstream = await startUpstream(t);
	workspace.write('secrets/token', 'seed-of-the-sink\n');
	workspace.agent('researcher');
	const options = {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			audit: {
				sinks: [
					{
						http: {
							url: `${central.url}?tenant=seed-of-the-query`,
							credential: { bearer: { file: 'secrets/token' } },
							present_svid: true,
							roots: 'certs/ca.pem',
							batch: { age: '50ms' },
						},
					},
				],
			},
		},
	};
	let sallyport = await startSallyport(t, workspace, options);
	const call = async (path: string): Promise<void> => {
		const through = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
		const answer = await curl([...through, `http://crm.internal:${upstream.port}${path}`]);
		assert.equal(answer.status, 200, answer.error);
	};
	await call('/one');
	await until(() => central.lines().some(line => line.includes('"path":"/one"')), 'the decision arrives');
	const [first] = central.uploads;
	assert.equal(first?.method, 'POST');
	assert.equal(first.url, '/logs?tenant=seed-of-the-query');
	assert.equal(first.headers['content-type'], 'application/json');
	assert.equal(first.headers['content-encoding'], 'gzip');
	assert.equal(first.headers.authorization, 'Bearer seed-of-the-sink');
	assert.match(first.client ?? '', /URI:spiffe:\/\/example\.org\/sallyport/);

	// A failure of the server, a redirect, a wrong credential: nothing is lost, and calls go on.
	for (const reply of [
		{ status: 503, headers: { 'retry-after': '0' } },
		{ status: 307, headers: { location: `${central.url}/elsewhere` } },
		{ status: 401 },
		{ status: undefined },
	]) {
		const before = central.uploads.length;
		central.answer(() => reply);
		await call(`/while-${reply.status}`);
		await until(() => central.uploads.length > before, 'it is tried');
	}
	assert.ok(
		central.uploads.every(({ url }) => url?.startsWith('/logs?')),
		'nothing follows a redirect',
	);
	await sallyport.kill();
	central.answer(() => ({ status: 200 }));
	sallyport = await startSallyport(t, workspace, options);
	await call('/after');
	await until(() => central.lines().some(line => line.includes('"path":"/after"')), 'it catches up');
	await sallyport.stop();
	const chain = readRecordLines(workspace.path('var/audit'));
	assert.deepEqual(
		chain.filter(line => !central.lines().includes(line)),
		[],
		'every record arrived as it stands in the chain',
	);
	const said = sallyport.stderr() + chain.join('\n') + readFileSync(workspace.path('var/audit/sinks.json'), 'utf8');
	assert.ok(!said.includes('seed-of'), 'neither the credential nor the query is said anywhere');
});

test('a server that is not trusted gets nothing, and status says why', async t => {
	const workspace = makeWorkspace(t);
	const server = workspace.server('central');
	const tls = { cert: readFileSync(server.certificate), key: readFileSync(server.key) };
	const central = await startCentral(t, { tls });
	const sinks = [{ http: { url: central.url, credential: { bearer: 'seed-of-the-sink' }, batch: { age: '10ms' } } }];
	const sallyport = await startSallyport(t, workspace, { config: { audit: { sinks } } });
	const line = await sallyport.waitForLog(({ msg }) => msg === 'the audit sink takes no records', 'it is told');
	assert.match(String(line.error), /^it cannot be reached \([A-Z_]+\)$/);
	assert.equal(central.uploads.length, 0);
	assert.match(
		await sallyport.metrics(),
		/oldest_unsent_timestamp_seconds\{sink="http:https:\/\/localhost:\d+\/logs"\} [1-9]/,
	);
	assert.ok(!sallyport.stderr().includes('seed-of'));
});
