import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { CHART, toolFor } from '../support/chart.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { seriesOf } from './series.ts';

interface Dashboard {
	readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

/** Of the dashboard's panels, those that have nothing to show while all is well, or where what they show is not set up. */
const SILENT = [
	'Not taken at the last reload',
	'Policy bundles: since the server was asked with success',
	'Policy bundles: failures',
	'Shadow bundles: what they would have said',
	'Records that sinks refused',
	'Spans by result',
];

test('every panel shows something of a real Sallyport that was used', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		policy: policyOf('allow if input.http.method == "GET"', 'allow := true'),
		config: {
			upstreams: { crm: { address: upstream.address, protocol: 'http' } },
			audit: { sinks: [{ file: { path: 'records.jsonl' } }] },
		},
	});
	const before = await sallyport.metrics();
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
	for (const method of ['GET', 'GET', 'POST']) await curl([...proxy, '-X', method, `http://${upstream.address}/`]);
	await curl([...throughProxy(workspace, sallyport.address('egress')), `http://${upstream.address}/`]);
	const after = await sallyport.metrics();

	const labels = { job: 'sallyport', namespace: 'agents', pod: 'researcher-1' };
	const input = seriesOf({ before, after, change: 10, total: 30, labels });
	const dashboard = JSON.parse(readFileSync(join(CHART, 'files/dashboard.json'), 'utf8')) as Dashboard;
	const queries = dashboard.panels.flatMap(({ title, targets }) =>
		targets.map(({ expr }) => ({ title, expr: expr.replaceAll('$namespace', '.*').replaceAll('$pod', '.*') })),
	);
	const file = workspace.write(
		'queries.yaml',
		stringify({
			evaluation_interval: '1m',
			tests: [
				{
					interval: '1m',
					input_series: input,
					promql_expr_test: queries.map(({ expr }) => ({ expr, eval_time: '13m', exp_samples: [] })),
				},
			],
		}),
	);
	// Promtool tells of each query whose answer is not the one that was expected: nothing.
	const { stdout, stderr } = spawnSync(promtool, ['test', 'rules', file], { encoding: 'utf8' });
	const answered = stdout + stderr;
	for (const { title, expr } of queries)
		assert.equal(
			answered.includes(`expr: ${JSON.stringify(expr)}, time: 13m`),
			!SILENT.includes(title),
			`${title}: ${expr}\n${answered}`,
		);
});
