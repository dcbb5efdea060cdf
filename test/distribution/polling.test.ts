import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

test('a bundle from a server: in force before the first call, asked for by ETag, exchanged when there is another', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	const stage = await openDistribution(t, { workspace, config: fromServer(server) });
	assert.equal(await stage.outcome(), '200');
	const record = await stage.sallyport.waitForRecord(({ type }) => type === 'decision', 'the call');
	assert.deepEqual(record['bundles'], { team: { revision: 'one' } });
	assert.deepEqual(server.asked[0], {
		method: 'GET',
		path: '/bundles/team.tar.gz',
		etag: undefined,
		prefer: 'modes=snapshot',
		authorization: undefined,
		client: undefined,
		body: '',
	});
	// Nothing is sent again, and nobody is asked to wait who did not say that they can.
	await until(() => server.asked.length >= 4, 'the server is asked again and again');
	for (const { etag, prefer } of server.asked.slice(1))
		assert.deepEqual({ etag, prefer }, { etag: '"1"', prefer: 'modes=snapshot' });
	const first = await stage.download(({ etag }) => etag === '"1"', 'its tag');
	assert.equal(first.revision, 'one');
	assert.equal(first.url, server.url);
	assert.equal(first.problem, undefined);
	assert.equal(first.failures, 0);

	server.serve(await bundleOf(workspace, 'deny contains "no" if true', 'two'));
	await stage.download(({ revision }) => revision === 'two', 'the second');
	assert.equal(await stage.outcome(), 'denied_by_rule');
	assert.ok((await stage.policy()).bundles.some(({ revision, from }) => revision === 'two' && from[0] === server.url));
	const metrics = await stage.sallyport.metrics();
	assert.match(metrics, /^sallyport_policy_info\{bundle="team",revision="two"\} 1$/m);
	assert.match(metrics, /^sallyport_bundle_last_success_timestamp_seconds\{bundle="team"\} 1\d{9}/m);
	assert.match(metrics, /^sallyport_bundle_failures\{bundle="team"\} 0$/m);
	const { out } = await stage.command('status');
	assert.match(out, /team {2}two {2}since/);

	// The same bundle under another tag is no other bundle.
	const { activated } = (await stage.policy()).bundles[0] ?? {};
	server.serve(await bundleOf(workspace, 'deny contains "no" if true', 'two'), '"other"');
	await stage.download(({ etag }) => etag === '"other"', 'the other tag');
	assert.equal((await stage.policy()).bundles[0]?.activated, activated);
});
