import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { countRecords, createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { CHART, find, PLACEMENTS, rendered, toolFor } from '../support/chart.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { seriesOf } from './series.ts';

interface Rule {
	readonly alert: string;
	readonly for?: string;
	readonly annotations: { readonly summary: string; readonly remedy: string };
	readonly labels: { readonly severity: string };
}

const FILE = join(CHART, 'files/alerts.yaml');
const RULES = (parse(readFileSync(FILE, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
	({ rules }) => rules,
);

/** Promtool begins at the epoch. */
const MINUTE = 60;
const TOTAL = 90;
/** When what the alert is about begins, minutes. */
const CHANGE = 20;

/** When it fires, minutes after the change, where its own times make that longer. */
const LATER: Readonly<Record<string, number>> = {
	SallyportObserves: 65,
	SallyportSinkBehind: 13,
	SallyportRevocationsOld: 50,
	SallyportRestarts: 6,
};

/** What makes each alert fire: done to the registry of a Sallyport, which then says so in its own words. */
const TROUBLES: Readonly<Record<string, (metrics: Metrics) => void>> = {
	SallyportWithoutSvid: metrics => metrics.svidNotAfter.set(0),
	SallyportSvidExpires: metrics => metrics.svidNotAfter.set((CHANGE + 15) * MINUTE),
	SallyportReloadFailed: metrics => metrics.reloadLastSuccess.set({ part: 'policy' }, 0),
	SallyportObserves: metrics => metrics.observe.set(1),
	SallyportAuditFails: metrics => metrics.auditFailures.inc({ reason: 'full' }),
	SallyportUnrecorded: metrics => metrics.unrecorded.inc(3),
	SallyportAgentFloods: metrics => metrics.auditFailures.inc({ reason: 'agent_share' }),
	SallyportSinkBehind: metrics => metrics.oldestUnsent.set({ sink: 'http' }, CHANGE * MINUTE),
	SallyportCredentialInvalid: metrics => metrics.credentialValid.set({ upstream: 'crm', credential: 'crm[0]' }, 0),
	SallyportPolicyFails: metrics =>
		metrics.calls.inc({
			listener: 'e',
			target: 'crm',
			protocol: 'http',
			phase: 'request',
			verdict: 'deny',
			cause: 'policy_error',
		}),
	SallyportUpstreamFails: metrics =>
		metrics.outcomes.inc({ listener: 'e', target: 'crm', protocol: 'http', cause: 'upstream_unreachable' }, 500),
	SallyportStrangers: metrics => metrics.refusedConnections.inc({ listener: 'e', cause: 'identity_missing' }, 5000),
	SallyportRevocationsOld: metrics => metrics.revocationsIssued.set(1),
	SallyportSlow: metrics => setNode(metrics, 'nodejs_eventloop_lag_p99_seconds', 0.5),
	SallyportRestarts: () => {},
};

function setNode({ registry }: Metrics, name: string, value: number): void {
	Object.assign(registry.getSingleMetric(name) ?? {}, {
		collect(this: { set(value: number): void }) {
			this.set(value);
		},
	});
}

/** A Sallyport for which all is well, from minute 0 on. */
function healthy(): Metrics {
	const metrics = createMetrics('0.1.0');
	countRecords(metrics);
	metrics.svidNotAfter.set(TOTAL * MINUTE * 10);
	metrics.observe.set(0);
	for (const part of ['config', 'policy', 'identity']) metrics.reloadLastSuccess.set({ part }, 1);
	metrics.credentialValid.set({ upstream: 'crm', credential: 'crm[0]' }, 1);
	metrics.oldestUnsent.set({ sink: 'http' }, 0);
	metrics.outcomes.inc({ listener: 'e', target: 'crm', protocol: 'http', cause: 'upstream_unreachable' }, 1);
	metrics.outcomes.inc({ listener: 'e', target: 'crm', protocol: 'http', cause: 'completed' }, 1000);
	metrics.refusedConnections.inc({ listener: 'e', cause: 'identity_missing' }, 1);
	setNode(metrics, 'nodejs_eventloop_lag_p99_seconds', 0.01);
	setNode(metrics, 'process_start_time_seconds', 0);
	return metrics;
}

test('every alert says what happened and what to do, and has something that makes it fire', () => {
	assert.deepEqual(RULES.map(({ alert }) => alert).sort(), Object.keys(TROUBLES).sort());
	for (const { alert, annotations, labels } of RULES) {
		assert.ok(annotations.summary.length > 20 && annotations.remedy.length > 20, alert);
		assert.match(labels.severity, /^(critical|warning|info)$/, alert);
	}
});

test('promtool takes the rules', t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const { status, stdout, stderr } = spawnSync(promtool, ['check', 'rules', FILE], { encoding: 'utf8' });
	assert.equal(status, 0, stdout + stderr);
});

for (const [alert, trouble] of Object.entries(TROUBLES)) {
	test(`${alert} fires on what Sallyport says, and not before`, async t => {
		const promtool = toolFor(t, 'promtool');
		if (promtool === undefined) return;
		const metrics = healthy();
		const before = await metrics.registry.metrics();
		trouble(metrics);
		const after = await metrics.registry.metrics();
		metrics.registry.clear();
		const restarts = alert === 'SallyportRestarts';
		const series = seriesOf({
			before,
			after,
			change: CHANGE,
			total: TOTAL,
			labels: { job: 'sallyport', pod: 'a-1', namespace: 'agents' },
		});
		const input = restarts
			? [{ series: 'process_start_time_seconds{job="sallyport",pod="a-1"}', values: `0x${CHANGE} 1 2 3 4x${TOTAL}` }]
			: series;
		const workspace = makeWorkspace(t);
		const run = (time: number): boolean => {
			const file = workspace.write(
				`test-${time}.yaml`,
				stringify({
					rule_files: [FILE],
					evaluation_interval: '1m',
					tests: [
						{
							interval: '1m',
							input_series: input,
							alert_rule_test: [{ eval_time: `${time}m`, alertname: alert, exp_alerts: [] }],
						},
					],
				}),
			);
			const { status, stdout, stderr } = spawnSync(promtool, ['test', 'rules', file], { encoding: 'utf8' });
			if (status === 0) return false;
			assert.match(stdout + stderr, /exp:\[\](.|\n)*got:\[/, stdout + stderr);
			return true;
		};
		assert.equal(run(CHANGE - 1), false, 'all is well');
		assert.equal(run(CHANGE + (LATER[alert] ?? 8)), true, 'it fires');
	});
}

test('the chart ships these rules', t => {
	const helm = toolFor(t, 'helm');
	if (helm === undefined) return;
	const manifests = rendered(helm, PLACEMENTS['gateway with everything'] ?? {});
	assert.deepEqual(find(manifests, 'PrometheusRule')['spec'], parse(readFileSync(FILE, 'utf8')));
});
