import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startUpstream } from '../support/upstream.ts';
import { openStage } from './support-stage.ts';

test('an agent that goes to many targets keeps no more idle connections than its limit', async t => {
	const tools = await Promise.all(Array.from({ length: 6 }, () => startUpstream(t)));
	const stage = await openStage(t, {
		upstreams: Object.fromEntries(
			tools.map(({ address }, index) => [`t${index}`, { address, hosts: [`t${index}.test`], protocol: 'http' }]),
		),
		limits: { upstream_connections_per_agent: 3 },
	});
	for (const [index, { port }] of tools.entries())
		assert.equal((await stage.curl([`http://t${index}.test:${port}/`])).status, 200);
	await stage.quiet();
	const open = /^sallyport_upstream_connections (\d+)$/m.exec(await stage.sallyport.metrics())?.[1];
	assert.equal(open, '3');
	assert.equal(
		tools.reduce((sum, tool) => sum + tool.open(), 0),
		3,
	);
	// Another agent has its own.
	assert.equal((await stage.curl([`http://t5.test:${tools[5]?.port}/`], { agent: 'b' })).status, 200);
	assert.equal(
		tools.reduce((sum, tool) => sum + tool.open(), 0),
		4,
	);
});
