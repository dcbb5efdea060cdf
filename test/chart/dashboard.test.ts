import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { CHART, dataOf, find, PLACEMENTS, rendered, toolFor } from '../support/chart.ts';
import { makeWorkspace } from '../support/workspace.ts';

interface Dashboard {
	readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
	readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
}

const TEXT = readFileSync(join(CHART, 'files/dashboard.json'), 'utf8');
const dashboard = JSON.parse(TEXT) as Dashboard;
const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

/** Names of metrics in a query; what a histogram is scraped as counts as the histogram. */
const metricsIn = (text: string): readonly string[] =>
	[...text.matchAll(/\b(?:sallyport|process|nodejs)_[a-z0-9_]+/g)].map(([name]) =>
		name.replace(/_(bucket|sum|count)$/, ''),
	);

test('every metric of the dashboard and of the alerts is one of Sallyport, and every metric of Sallyport is used', () => {
	const { registry } = createMetrics('0');
	const known = registry.getMetricsAsArray().map(({ name }) => name);
	registry.clear();
	const alerts = readFileSync(join(CHART, 'files/alerts.yaml'), 'utf8');
	const rules = (parse(alerts) as { groups: { rules: { expr: string }[] }[] }).groups.flatMap(group => group.rules);
	const variables = dashboard.templating.list.map(({ query }) => query);
	const used = [...queries, ...variables, ...rules.map(({ expr }) => expr)].flatMap(metricsIn);
	assert.deepEqual(
		used.filter(name => !known.includes(name)),
		[],
	);
	// Details that one looks up when something else has shown.
	const details = ['sallyport_dropped_trailers_total', 'sallyport_revocation_effect_seconds'];
	assert.deepEqual(
		known.filter(name => name.startsWith('sallyport_') && !used.includes(name) && !details.includes(name)),
		[],
	);
});

test('every query parses', t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = makeWorkspace(t);
	const rules = queries.map((expr, index) => ({
		record: `query:${index}`,
		expr: expr.replaceAll('$namespace', '.*').replaceAll('$pod', '.*'),
	}));
	const file = workspace.write('queries.yaml', stringify({ groups: [{ name: 'queries', rules }] }));
	const { status, stdout, stderr } = spawnSync(promtool, ['check', 'rules', file], { encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
	assert.match(stdout, new RegExp(`${queries.length} rules found`));
});

test('the chart ships this dashboard', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const manifests = rendered(helm, PLACEMENTS['gateway with everything'] ?? {});
	assert.equal(dataOf(find(manifests, 'ConfigMap', '-dashboard'), 'sallyport.json'), TEXT);
});
