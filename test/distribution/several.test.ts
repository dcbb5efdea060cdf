import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { type BundleServer, bundleOf, startBundleServer } from './server.ts';
import { openDistribution } from './support.ts';

test('nothing is decided before every bundle is there; a bad file holds up no server, and a bad server no file', async t => {
	const workspace = makeWorkspace(t);
	const [one, two] = [await startBundleServer(t, workspace), await startBundleServer(t, workspace)];
	one.serve(await bundleOf(workspace, 'allow := true', 'one'));
	workspace.write('local/request.rego', 'package sallyport.request\n\nallow := true\n');
	const server = (name: string, { url }: BundleServer) => ({
		name,
		url,
		roots: 'certs/ca.pem',
		poll: { min: '300ms', max: '400ms', wait: '0' },
	});
	const stage = await openDistribution(t, {
		workspace,
		config: {
			policy: {
				bundles: [server('one', one), server('two', two), { name: 'local', files: ['local'] }],
			},
		},
	});
	// The one that is missing may be the one that denies.
	assert.equal(await stage.outcome(), 'policy_missing');
	assert.ok(
		(await stage.policy()).problems?.some(({ message }) =>
			/bundle two is not there yet: the server answers 404/.test(message),
		),
	);
	two.serve(await bundleOf(workspace, 'deny contains "never" if input.labels.never', 'no-allow'));
	await stage.download(({ name, revision }) => name === 'two' && revision !== undefined, 'the second');
	assert.equal(await stage.outcome(), 'no_rule', 'each must allow');

	workspace.write('local/request.rego', 'package sallyport.request\n\nallow := \n');
	await stage.sallyport.waitForLog(({ msg }) => /new policy was not taken/.test(msg ?? ''), 'the bad file');
	two.serve(await bundleOf(workspace, 'allow := true', 'allow'));
	await stage.download(({ revision }) => revision === 'allow', 'the new one, beside a bad file');
	assert.equal(await stage.outcome(), '200');

	two.misbehave((_request, response) => response.writeHead(500).end());
	await stage.download(({ name, problem }) => name === 'two' && problem !== undefined, 'the bad server');
	workspace.write('local/request.rego', 'package sallyport.request\n\ndeny contains "local" if true\n');
	await until(async () => (await stage.outcome()) === 'denied_by_rule', 'the new file is in force');
});
