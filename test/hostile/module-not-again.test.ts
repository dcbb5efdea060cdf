import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { archiveOf, notAgain } from '../policy/support-module.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('a policy that fails, and cannot be started again after that, refuses every call, and Sallyport lives', async t => {
	const workspace = makeWorkspace(t);
	const path = join(workspace.directory, 'hostile.tar.gz');
	writeFileSync(path, archiveOf(notAgain()));
	const stage = await openStage(t, { workspace, config: { policy: { bundles: [{ name: 'hostile', path }] } } });
	for (const what of [/unreachable/, /could not be started again/, /could not be started again/]) {
		const before = stage.decisions().length;
		const call = await stage.curl([`${stage.origin}/`]);
		assert.equal(call.status, 403, `${call.error} ${call.body}\n${stage.sallyport.stderr()}`);
		assert.equal(call.json()['cause'], 'policy_error');
		const record = await until(() => stage.decisions()[before], 'the record of the refusal');
		assert.match(JSON.stringify(record['error']), what);
	}
	assert.equal(stage.tool.seen.length, 0);
	await stage.quiet();
});
