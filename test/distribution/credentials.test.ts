import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

test('a server is shown a token from a file that changes, and the SVID; neither is said anywhere', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace, { ca: workspace.ca });
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	workspace.write('token', 'first-secret-token\n');
	const config = fromServer(server, { bearer: { file: 'token' }, present_svid: true });
	const stage = await openDistribution(t, { workspace, config });
	assert.equal(await stage.outcome(), '200');
	assert.equal(server.asked[0]?.authorization, 'Bearer first-secret-token');
	assert.match(server.asked[0]?.client ?? '', /spiffe:\/\/example\.org\/sallyport/);
	workspace.write('token', 'second-secret-token\n');
	await until(() => server.asked.at(-1)?.authorization === 'Bearer second-secret-token', 'the new token is shown');
	server.misbehave((_request, response) => response.writeHead(401).end());
	await stage.download(({ problem }) => problem === 'the server answers 401', 'it is refused');
	const said = JSON.stringify(await stage.policy()) + stage.sallyport.stderr() + (await stage.sallyport.metrics());
	assert.doesNotMatch(said, /secret-token/);
	assert.doesNotMatch(JSON.stringify(stage.sallyport.records()), /secret-token/);
});
