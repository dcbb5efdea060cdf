import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, LONG_POLLING, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

test('a server that holds its answers back is asked to, and what it says is in force at once', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace, { longPolling: true });
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	const config = fromServer(server, { poll: { min: '60s', max: '60s', wait: '20s' } });
	const stage = await openDistribution(t, { workspace, config });
	assert.equal(await stage.outcome(), '200');
	await until(() => server.held() === 1, 'the server is asked to wait');
	assert.equal(server.asked.at(-1)?.etag, '"1"');
	assert.equal(server.asked.at(-1)?.prefer, 'modes=snapshot;wait=20');
	const served = performance.now();
	server.serve(await bundleOf(workspace, 'allow := false', 'two'));
	await stage.download(({ revision }) => revision === 'two', 'the second, long before the next poll');
	t.diagnostic(`in force ${(performance.now() - served).toFixed(0)} ms after it was served`);
	assert.equal(await stage.outcome(), 'no_rule');
	await until(() => server.held() === 1, 'the server is asked to wait again');

	// Who says that it can wait and then does not is asked as often as every other.
	server.misbehave((request, response) => {
		response.setHeader('content-type', LONG_POLLING);
		if (request.headers['if-none-match'] === undefined) response.writeHead(500);
		else response.writeHead(304);
		response.end();
	});
	const before = server.asked.length;
	await stage.reload();
	await until(() => server.asked.length > before, 'it is asked by the reload');
	await new Promise(resolve => setTimeout(resolve, 1_500));
	assert.equal(server.asked.length, before + 1);
	const stopping = performance.now();
	assert.equal((await stage.sallyport.stop()).code, 0);
	assert.ok(performance.now() - stopping < 15_000, 'nobody waits for the server');
});
