import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { readRecords } from '../support/records.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('when the upstream sees a call, its decision is on disk already, and its outcome is not', async t => {
	const workspace = makeWorkspace(t);
	const directory = workspace.path('var/audit');
	const atArrival: { decisions: number; outcomes: number }[] = [];
	const upstream = await startUpstream(t, {
		answer(request, response) {
			const records = readRecords(directory).filter(
				({ call, type }) => type === 'outcome' || call?.['path'] === request.url,
			);
			atArrival.push({
				decisions: records.filter(({ type }) => type === 'decision').length,
				outcomes: records.filter(({ type }) => type === 'outcome').length,
			});
			response.end('ok');
		},
	});
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	for (let n = 0; n < 3; n++) {
		const call = await curl([...proxy, `http://crm.internal:${upstream.port}/call/${n}`]);
		assert.equal(call.status, 200);
		const decision = sallyport.records().find(record => record.call?.['path'] === `/call/${n}`);
		const outcome = await sallyport.waitForRecord(
			record => record.type === 'outcome' && record.decision_id === decision?.decision_id,
			'the outcome',
		);
		assert.equal(outcome.cause, 'completed');
		assert.equal(outcome['status'], 200);
	}
	assert.deepEqual(
		atArrival.map(({ decisions }) => decisions),
		[1, 1, 1],
	);
	assert.deepEqual(
		atArrival.map(({ outcomes }) => outcomes),
		[0, 1, 2],
	);
});
