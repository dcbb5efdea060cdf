import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { bundleOf, startBundleServer } from './server.ts';
import { fromServer, openDistribution } from './support.ts';

interface Report {
	readonly labels: Readonly<Record<string, string>>;
	readonly bundles: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
	readonly plugins: Readonly<Record<string, { readonly state: string }>>;
}

test('the status of the bundles is reported in the form of OPA, when it changes and from time to time', async t => {
	const workspace = makeWorkspace(t);
	const server = await startBundleServer(t, workspace);
	const collector = await startBundleServer(t, workspace);
	const url = new URL('/status', collector.url).href;
	let answer = 200;
	collector.misbehave((_request, response) => response.writeHead(answer).end('{}'));
	const archive = await bundleOf(workspace, 'allow := true', 'one');
	server.serve(archive);
	const status = { url, roots: 'certs/ca.pem', bearer: { env: 'COLLECTOR' }, interval: '1s' };
	const stage = await openDistribution(t, {
		workspace,
		config: { ...fromServer(server, {}, { status }), labels: { cluster: 'test' } },
		env: { COLLECTOR: 'report-token' },
	});
	const reported = (fits: (report: Report) => boolean, what: string): Promise<Report> =>
		until(
			() =>
				collector.asked
					.slice()
					.reverse()
					.map(({ body }) => JSON.parse(body) as Report)
					.find(fits),
			what,
		);
	const first = await reported(({ bundles }) => bundles['team']?.['active_revision'] === 'one', 'the first report');
	assert.equal(collector.asked[0]?.method, 'POST');
	assert.equal(collector.asked[0]?.path, '/status');
	assert.equal(collector.asked[0]?.authorization, 'Bearer report-token');
	assert.equal(first.labels['cluster'], 'test');
	assert.match(first.labels['id'] ?? '', /\/example\.org$/);
	const team = first.bundles['team'] ?? {};
	assert.equal(team['name'], 'team');
	assert.equal(team['type'], 'snapshot');
	assert.equal(team['size'], archive.length);
	for (const key of [
		'last_successful_activation',
		'last_successful_download',
		'last_successful_request',
		'last_request',
	])
		assert.ok(!Number.isNaN(Date.parse(String(team[key]))), key);
	assert.deepEqual(first.plugins, { bundle: { state: 'OK' }, status: { state: 'OK' } });

	// From time to time, although nothing changes.
	const count = collector.asked.length;
	await until(() => collector.asked.length >= count + 2, 'the next reports');

	server.misbehave((_request, response) => response.writeHead(500).end());
	const bad = await reported(({ bundles }) => bundles['team']?.['code'] === 'bundle_error', 'the failure');
	assert.equal(bad.bundles['team']?.['active_revision'], 'one');
	assert.equal(bad.bundles['team']?.['message'], 'the server answers 500');

	// A collector that fails is said, and loses no change: the next report holds it.
	answer = 503;
	await until(async () => (await stage.policy()).reports?.problem === 'the server answers 503', 'it is said');
	server.serve(await bundleOf(workspace, 'allow := true', 'two'));
	await stage.download(({ revision }) => revision === 'two', 'the second');
	assert.match((await stage.command('status')).out, /not reported to https:.*: the server answers 503/);
	const failed = collector.asked.length;
	answer = 200;
	await until(
		() => collector.asked.slice(failed).some(({ body }) => /"active_revision":"two"/.test(body)),
		'the report of the change',
	);
	await until(async () => (await stage.policy()).reports?.problem === undefined, 'it is mended');
	assert.doesNotMatch(stage.sallyport.stderr() + JSON.stringify(await stage.policy()), /report-token/);
	assert.match(await stage.sallyport.metrics(), /^sallyport_policy_status_last_success_timestamp_seconds 1\d{9}/m);
});
