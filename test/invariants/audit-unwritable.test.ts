import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** Leaves room for some hundred records. */
const LIMIT = '256KiB';
const MOST = 2000;

test('when the records are full, calls are refused with audit_unavailable, readiness says so, and nothing is dialled', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			audit: { limit: LIMIT, agent_share: 1, segment: { size: '64KiB' } },
		},
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	// One run of curl, many calls over one connection.
	const many = await curl([...proxy, '-o', '/dev/null', `http://crm.internal:${upstream.port}/[1-${MOST}]`], {
		limit: 60,
	});
	assert.equal(many.exit, 0, many.error);
	const reached = upstream.seen.length;
	assert.ok(reached > 10 && reached < MOST, `${reached} calls before the end`);

	const refused = await curl([...proxy, `http://crm.internal:${upstream.port}/more`]);
	assert.equal(refused.status, 503);
	assert.equal(refused.json()['cause'], 'audit_unavailable');
	assert.equal(upstream.seen.length, reached);
	const ready = await curl([`http://${sallyport.health()}/readyz`]);
	assert.equal(ready.status, 503);
	assert.match(ready.body, /"part":"audit"/);
	const decided = sallyport.records().filter(({ type }) => type === 'decision').length;
	const ended = sallyport.records().filter(({ type }) => type === 'outcome').length;
	assert.equal(decided, reached, 'each call that went through has its decision');
	assert.equal(ended, reached, 'and its outcome: room for it was kept');
});
