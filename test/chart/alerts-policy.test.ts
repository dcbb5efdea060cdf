import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { bundleOf, startBundleServer } from '../distribution/server.ts';
import { fromServer, openDistribution } from '../distribution/support.ts';
import { openStage, type Stage } from '../revocation/stage.ts';
import { toolFor } from '../support/chart.ts';
import { policyOf } from '../support/sallyport.ts';
import { assertFires, longWorkspace, sampleOf, scrape } from './firing.ts';

const RULES = `allow if input.http.path == "/"

allow := false if input.http.path == "/conflict"
allow := true if input.http.path == "/conflict"

allow if {
	input.http.path == "/away"
	some a in numbers.range(1, 10000)
	some b in numbers.range(1, 10000)
	a * b == -1
}`;

async function call({ workspace, connect, get }: Stage, path: string): Promise<string> {
	const wire = await connect(workspace.agent('researcher'));
	wire.send(get(path, 'Connection: close\r\n'));
	return wire.closed();
}

const open = (t: TestContext): Promise<Stage> =>
	openStage(t, { workspace: longWorkspace(t), policy: policyOf(RULES, 'allow := true') });

for (const [path, cause] of [
	['/conflict', 'policy_error'],
	['/away', 'policy_exhausted'],
] as const) {
	test(`policy that cannot decide: ${cause}`, async t => {
		const promtool = toolFor(t, 'promtool');
		if (promtool === undefined) return;
		const stage = await open(t);
		assert.match(await call(stage, '/'), /^HTTP\/1\.1 200/);
		const before = await scrape(stage.sallyport);
		assert.match(await call(stage, path), new RegExp(`"cause":"${cause}"`));
		const after = await scrape(stage.sallyport);
		assertFires(t, promtool, ['SallyportPolicyFails'], { texts: [before, after] });
	});
}

test('a policy that was not taken', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const stage = await open(t);
	const before = await scrape(stage.sallyport);
	stage.workspace.write('policies/request.rego', 'package sallyport.request\n\nallow if {\n');
	await stage.sallyport.waitForLog(({ msg }) => /^the new policy was not taken/.test(msg ?? ''), 'it is told');
	assertFires(t, promtool, ['SallyportReloadFailed'], { texts: [before, await scrape(stage.sallyport)] });
});

test('what policy says is only observed', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const stage = await open(t);
	const before = await scrape(stage.sallyport);
	const file = stage.workspace.path('sallyport.yaml');
	const config = readFileSync(file, 'utf8').replace('policy:\n', 'policy:\n  mode: observe\n');
	stage.workspace.write('sallyport.yaml', config);
	stage.sallyport.signal('SIGHUP');
	const after = await scrape(stage.sallyport, text => sampleOf(text, 'sallyport_observe') === 1, 'it observes');
	assertFires(t, promtool, ['SallyportObserves'], { texts: [before, after], later: 65 });
});

test('servers that bundles come from, and that are told of them, are away', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const [server, reports] = [await startBundleServer(t, workspace), await startBundleServer(t, workspace)];
	reports.misbehave((_request, response) => response.writeHead(200).end());
	server.serve(await bundleOf(workspace, 'allow := true', 'one'));
	const status = { url: new URL('/status', reports.url).href, roots: 'certs/ca.pem', interval: '1s' };
	const stage = await openDistribution(t, { workspace, config: fromServer(server, {}, { status }) });
	const told = 'sallyport_policy_status_last_success_timestamp_seconds';
	const before = await scrape(stage.sallyport, text => sampleOf(text, told) > 0, 'the status is reported');
	await Promise.all([server.stop(), reports.stop()]);
	await stage.download(({ problem }) => problem !== undefined, 'the server is away');
	const after = await scrape(stage.sallyport);
	assertFires(t, promtool, ['SallyportBundleStale'], { texts: [before, after], later: 22 });
	assertFires(t, promtool, ['SallyportBundleStale', 'SallyportStatusUnreported'], {
		texts: [before, after],
		later: 40,
	});
});

test('a bundle that is only tried would deny what is allowed', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const rego = (rules: string): string => `package sallyport.request\n\n${rules}\n`;
	workspace.write('active/request.rego', rego('allow := true'));
	workspace.write('next/request.rego', rego('allow if input.http.path == "/"'));
	const bundles = [
		{ name: 'active', files: ['active'] },
		{ name: 'next', files: ['next'], shadow: true },
	];
	const stage = await openDistribution(t, { workspace, config: { policy: { bundles } } });
	await call(stage, '/');
	const before = await scrape(stage.sallyport);
	assert.match(await call(stage, '/other'), /^HTTP\/1\.1 200/);
	assertFires(t, promtool, ['SallyportShadowDenies'], { texts: [before, await scrape(stage.sallyport)] });
});
