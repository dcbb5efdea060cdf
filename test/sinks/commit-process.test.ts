import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { startCentral } from './central.ts';
import { openLoad, percentile } from './load.ts';

test('nothing reaches the upstream before the sink has the decision; many calls share an acknowledgement', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t, { answer: (_, response) => response.end('ok') });
	const central = await startCentral(t);
	const agent = workspace.agent('researcher');
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			audit: { sinks: [{ http: { name: 'central', url: central.url } }], commit: { sink: 'central', timeout: '2s' } },
		},
	});
	const target = `crm.internal:${upstream.port}`;
	const load = await openLoad(t, sallyport.address('egress'), target, agent, 16);
	const { statuses, milliseconds } = await load.run(20);
	assert.ok(statuses.every(status => status === 200));
	assert.equal(upstream.seen.length, 320);
	const uploads = central.uploads.length;
	assert.ok(uploads < 320, `${uploads} uploads for 320 calls`);
	t.diagnostic(
		`320 calls on 16 connections, ${uploads} uploads: p50 ${percentile(milliseconds, 0.5).toFixed(1)} ms, p99 ${percentile(milliseconds, 0.99).toFixed(1)} ms`,
	);

	central.answer(() => ({ status: 503 }));
	const refused = await load.run(1);
	assert.ok(refused.statuses.every(status => status === 503));
	assert.equal(upstream.seen.length, 320, 'no call went out');
	await until(
		async () => (await sallyport.metrics()).includes('sallyport_audit_failures_total{reason="sink"} 1'),
		'counted',
	);
	central.answer(() => ({ status: 200 }));
	await until(async () => (await load.run(1)).statuses.every(status => status === 200), 'it recovers by itself');
});
