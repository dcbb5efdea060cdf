import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { curl } from '../support/curl.ts';
import { readRecordLines } from '../support/records.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

test("an agent's token reaches no upstream, and no secret a record, the log or the metrics", async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{
					name: 'egress',
					address: '127.0.0.1:0',
					serves: 'http_proxy',
					authenticate: { token: { directory: 'tokens', agents: ['spiffe://example.org/agents/a'] } },
				},
			],
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			log: { level: 'debug' },
		},
		// Reads everything, so that everything is a candidate for the record.
		policy: policyOf(
			'allow if input.http.headers\ndeny contains input.http.query["token"] if input.http.query["deny"]',
		),
	});
	const token = readFileSync(workspace.path('tokens/a/token'), 'utf8').trim();
	const secrets = ['hunter2-authorization', 'hunter2-cookie', 'hunter2-key', 'hunter2-query'];
	const call = (...args: string[]) =>
		curl([
			...['--proxy', `http://${sallyport.address('egress')}`, '-H', 'authorization: Bearer hunter2-authorization'],
			...['-H', 'cookie: session=hunter2-cookie', '-H', 'x-api-key: hunter2-key', ...args],
		]);
	const url = `http://crm.internal:${upstream.port}/?token=hunter2-query`;

	assert.equal((await call('--proxy-user', `agent:${token}`, url)).status, 200);
	assert.equal((await call('--proxy-user', `agent:${token}x`, url)).status, 403);
	assert.equal((await call(url)).status, 407);
	assert.equal(upstream.seen.length, 1);
	assert.equal(upstream.raw().includes(token), false, 'the token goes no further');
	assert.equal(upstream.seen[0]?.header('proxy-authorization'), undefined);
	assert.equal(
		upstream.seen[0]?.header('authorization'),
		'Bearer hunter2-authorization',
		'what is for the upstream gets there',
	);

	const metrics = await sallyport.metrics();
	await sallyport.stop();
	const records = readRecordLines(workspace.path('var/audit')).join('\n');
	assert.ok(records.includes('"**"'), 'headers are masked in the record');
	const basic = Buffer.from(`agent:${token}`).toString('base64');
	for (const secret of [token, basic, ...secrets]) {
		for (const [place, text] of Object.entries({ records, metrics, log: sallyport.stderr() }))
			assert.equal(text.includes(secret), false, `${secret} in the ${place}`);
	}
});
