import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parse, stringify } from 'yaml';
import { CHART } from '../support/chart.ts';
import type { Sallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { seriesOf } from './series.ts';

export interface Rule {
	readonly alert: string;
	readonly expr: string;
	readonly annotations: { readonly summary: string; readonly remedy: string; readonly runbook_url: string };
	readonly labels: { readonly severity: string };
}

export const ALERTS = join(CHART, 'files/alerts.yaml');
export const RULES: readonly Rule[] = (
	parse(readFileSync(ALERTS, 'utf8')) as { groups: { rules: Rule[] }[] }
).groups.flatMap(({ rules }) => rules);

/** When what the alerts are about begins, minutes; it is now. */
const CHANGE = 20;
const DAY = 86_400_000;
/** What SallyportSlow takes for late, seconds. */
const LATE = 0.1;

export interface Trouble {
	/** Real scrapes: of a process for which all is well, and then of what happened, a minute apart. */
	readonly texts: readonly string[];
	/** How long it stays so until the alerts are looked at, minutes; 8 when absent. */
	readonly later?: number;
	/** It goes on: counters grow on as they did. */
	readonly lasting?: true;
}

/** Asserts that just these alerts fire on what was scraped, by the rules of the chart in promtool, and none before. */
export function assertFires(t: TestContext, promtool: string, alerts: readonly string[], trouble: Trouble): void {
	const { texts, later = 8, lasting = false } = trouble;
	const labels = { job: 'sallyport', pod: 'researcher-1', namespace: 'agents' };
	const at = (minutes: number): object => ({
		expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
		eval_time: `${minutes}m`,
		exp_samples: [],
	});
	const file = makeWorkspace(t).write(
		'firing.yaml',
		stringify({
			rule_files: [ALERTS],
			evaluation_interval: '1m',
			tests: [
				{
					interval: '1m',
					// What was scraped holds times: the change is now.
					start_timestamp: Math.floor(Date.now() / 1000) - CHANGE * 60,
					input_series: seriesOf({ texts, lasting, change: CHANGE, total: CHANGE + later + texts.length, labels }),
					promql_expr_test: [at(CHANGE - 1), at(CHANGE + later)],
				},
			],
		}),
	);
	const { stdout, stderr } = spawnSync(promtool, ['test', 'rules', file], { encoding: 'utf8' });
	const said = stdout + stderr;
	// Promtool tells of answers that are not the expected one: nothing.
	assert.match(said, /SUCCESS|time: [\dhm]+,/, said);
	const firing = (minutes: number): readonly string[] => {
		const [, part = ''] = new RegExp(`time: ${durationOf(minutes)},([\\s\\S]*?)(?=time: \\d|$)`).exec(said) ?? [];
		return [...part.matchAll(/alertname="(\w+)"/g)].map(([, name = '']) => name).sort();
	};
	assert.deepEqual(firing(CHANGE - 1), [], `while all is well: ${said}`);
	assert.deepEqual(firing(CHANGE + later), [...alerts].sort(), said);
}

/** As Prometheus writes it. */
const durationOf = (minutes: number): string =>
	[
		[Math.floor(minutes / 60), 'h'],
		[minutes % 60, 'm'],
	]
		.filter(([count]) => count !== 0)
		.flat()
		.join('');

/** A workspace whose SVIDs last for all that the alerts wait for. */
export const longWorkspace = (t: TestContext): Workspace => makeWorkspace(t, DAY);

/** The metrics, once they say what is waited for, and the start, or a moment without a processor, is over. */
export function scrape(
	sallyport: Pick<Sallyport, 'metrics'>,
	fits: (text: string) => boolean = () => true,
	what = 'what the metrics say',
): Promise<string> {
	return until(
		async () => {
			const text = await sallyport.metrics();
			return fits(text) && sampleOf(text, 'nodejs_eventloop_lag_p99_seconds') < LATE && text;
		},
		what,
		60_000,
	);
}

/** The first sample of this name; 0 when there is none. */
export const sampleOf = (text: string, name: string): number =>
	Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
