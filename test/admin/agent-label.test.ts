import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';

test('calls are counted by agent where that is asked for, and only so many agents have a label', async t => {
	const stage = await openStage(t, { config: { telemetry: { metrics: { agents: 2 } } } });
	for (const agent of ['a', 'b', 'c', 'd', 'a'])
		assert.equal((await stage.curl([`${stage.origin}/`], { agent })).status, 200);
	await stage.quiet();
	const text = await stage.sallyport.metrics();
	for (const name of ['sallyport_calls_total', 'sallyport_outcomes_total']) {
		const counted = new Map<string, number>();
		for (const [, agent = '', count = ''] of text.matchAll(new RegExp(`^${name}\\{.*agent="([^"]+)"\\} (\\d+)$`, 'gm')))
			counted.set(agent, (counted.get(agent) ?? 0) + Number(count));
		assert.deepEqual(
			[...counted],
			[
				['spiffe://example.org/agents/a', 2],
				['spiffe://example.org/agents/b', 1],
				['other', 2],
			],
			name,
		);
	}
});

test('without, agents have no label', async t => {
	const stage = await openStage(t);
	await stage.good('the start');
	assert.doesNotMatch(await stage.sallyport.metrics(), /agent="/);
});
