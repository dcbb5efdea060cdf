import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { openStage } from './support-stage.ts';

test('bytes arrive as they were sent, whichever way a body takes', async t => {
	const stage = await openStage(t, {
		limits: { body: '100KiB' },
		policy: policyOf('allow if input.http.body_state != "none"', 'allow := true'),
	});
	// One packet, read for policy; longer than policy is given; far longer.
	for (const size of [1, 100, 70_000, 200_000, 3_000_000]) {
		const body = randomBytes(size);
		for (const way of [[], ['-H', 'transfer-encoding: chunked']]) {
			const call = await stage.curl(['--data-binary', '@-', ...way, `${stage.origin}/`], { input: body });
			assert.equal(call.status, 200, `${size}: ${call.error} ${call.body}`);
			assert.deepEqual(stage.tool.seen.at(-1)?.body(), body, `${size} ${way}`);
		}
	}
	await stage.quiet();
});
