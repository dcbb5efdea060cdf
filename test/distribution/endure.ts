import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, type Misbehave, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

/** What is done, how, and what must be said of it. */
export type Case = readonly [string, Misbehave, RegExp];

/** Every case leaves the bundle `one` in force and says what was wrong; then `two`, of which the cases are made, is taken. */
export async function endure(t: TestContext, casesOf: (next: Buffer) => readonly Case[]): Promise<void> {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	const poll = { min: '250ms', max: '250ms', wait: '0' };
	const config = fromServer(server, { poll, timeout: '500ms', limit: '1MiB' });
	const stage = await openDistribution(t, { workspace, config });
	assert.equal(await stage.outcome(), '200');
	const next = await bundleOf(workspace, 'allow := false', 'two');
	const cases = casesOf(next);
	for (const [what, how, expected] of cases) {
		const before = (await stage.download(() => true, 'the bundle')).failures;
		server.misbehave(how);
		const { revision, etag } = await stage.download(
			({ problem = '', failures }) => failures > before && expected.test(problem),
			what,
		);
		assert.deepEqual({ revision, etag }, { revision: 'one', etag: '"1"' }, what);
	}
	assert.equal(await stage.outcome(), '200');
	const [, failures] =
		/^sallyport_bundle_failures\{bundle="team"\} (\d+)$/m.exec(await stage.sallyport.metrics()) ?? [];
	assert.ok(Number(failures) >= cases.length, failures);
	const said = stage.sallyport
		.log()
		.filter(({ msg }) => /the policy bundle was not taken/.test(msg ?? ''))
		.map(({ problem }) => problem);
	assert.ok(
		said.every((problem, index) => problem !== said[index - 1]),
		'the same thing is said once',
	);

	// The tag of what was refused was not believed: the good one is still what is asked by.
	assert.equal(server.asked.at(-1)?.etag, '"1"');
	server.serve(next);
	assert.deepEqual(await stage.reload(), []);
	assert.equal(await stage.outcome(), 'no_rule');
	assert.equal((await stage.download(() => true, 'the bundle')).problem, undefined);
}
