import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { policyOf } from '../support/sallyport.ts';

test('a policy that fails at run time refuses the call with policy_error, or policy_exhausted, the record says why, and the next good call works', async t => {
	const stage = await openStage(t, {
		policy: policyOf(
			[
				'allow if input.http.path == "/good"',
				'allow := true if input.http.path == "/conflict"',
				'allow := false if startswith(input.http.path, "/conf")',
				'allow := {"yes": 1} if input.http.path == "/object"',
				'deny contains msg if { input.http.path == "/huge"; rows := numbers.range(1, 50000000); msg := sprintf("%d", [count(rows)]) }',
				'allow if input.http.path == "/huge"',
			].join('\n'),
		),
	});
	for (const [path, cause] of [
		['/conflict', 'policy_error'],
		['/object', 'policy_error'],
		['/huge', 'policy_exhausted'],
	] as const) {
		const call = await stage.curl([`${stage.origin}${path}`]);
		assert.equal(call.status, 403, `${path}: ${call.error} ${call.body}`);
		assert.equal(call.json()['cause'], cause, `${path}: ${call.body}`);
		const record = stage.decisions().at(-1);
		assert.equal(record?.cause, cause);
		assert.ok(record?.['error'], `${path}: the record names the error`);
		assert.equal(
			call.body.includes(JSON.stringify(record?.['error'])),
			false,
			'the agent is not told what is in the policy',
		);
		await stage.good(path);
	}
	assert.deepEqual(
		stage.tool.seen.map(({ url }) => url),
		['/good', '/good', '/good'],
	);
	await stage.quiet();
});
