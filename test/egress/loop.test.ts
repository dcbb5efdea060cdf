import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentCurl, stageCaptured } from './support.ts';

test('rules that capture Sallyport itself end in a refusal, and not in a loop', async t => {
	const stage = await stageCaptured(t, { user: 12_345 });
	if (stage === undefined) return;
	const { pod, sallyport } = stage;

	const { stdout } = await agentCurl(stage, 'http://api.test-public.com/');
	assert.match(stdout, /"cause":"upstream_reset"(.|\n)*502$/);
	await sallyport.waitForRecord(({ cause }) => cause === 'address_forbidden', 'the connection that came back');
	const decisions = sallyport.records().filter(({ type, call }) => type === 'decision' && call !== undefined);
	assert.equal(decisions.length, 1);
	assert.deepEqual(pod.arrivals(), []);
});
