import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import { freePort } from '../cli/run.ts';
import { curl } from './curl.ts';
import { until } from './until.ts';
import type { Workspace } from './workspace.ts';

/** One series of an answer: its labels, and its values by time. */
export interface Series {
	readonly metric: Readonly<Record<string, string>>;
	/** Seconds since the epoch, and the value as text. */
	readonly values: readonly (readonly [number, string])[];
}

/** One rule as Prometheus knows it. */
export interface LoadedRule {
	readonly name: string;
	readonly health: 'ok' | 'err' | 'unknown';
	readonly lastError?: string;
	/** Of an alert. */
	readonly state?: 'inactive' | 'pending' | 'firing';
	readonly alerts?: readonly { readonly labels: Readonly<Record<string, string>> }[];
}

/** A real Prometheus that scrapes one target. */
export interface Prometheus {
	/** What Grafana asks for a panel: the last five minutes, by the second. */
	range(expr: string): Promise<readonly Series[]>;
	/** What Grafana asks for a variable: `label_values(SELECTOR, LABEL)`. */
	labelValues(selector: string, label: string): Promise<readonly string[]>;
	rules(): Promise<readonly LoadedRule[]>;
}

export interface PrometheusOptions {
	readonly program: string;
	/** `HOST:PORT`, at /metrics. */
	readonly target: string;
	/** What service discovery would add. */
	readonly labels: Readonly<Record<string, string>>;
	/** A file of rules. */
	readonly rules: string;
}

const RANGE = 300;

export async function startPrometheus(
	t: TestContext,
	workspace: Workspace,
	{ program, target, labels, rules }: PrometheusOptions,
): Promise<Prometheus> {
	const address = `127.0.0.1:${await freePort()}`;
	const config = workspace.write(
		'prometheus.yml',
		stringify({
			global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '1s' },
			rule_files: [rules],
			scrape_configs: [{ job_name: 'sallyport', static_configs: [{ targets: [target], labels }] }],
		}),
	);
	const child = spawn(
		program,
		[
			...['--config.file', config, '--storage.tsdb.path', workspace.path('prometheus')],
			...['--web.listen-address', address, '--log.level', 'warn'],
		],
		{ stdio: ['ignore', 'ignore', 'pipe'] },
	);
	t.after(() => child.kill('SIGKILL'));
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said = (said + text).slice(-8000);
	});
	await until(
		async () => {
			if (child.exitCode !== null) throw new Error(`prometheus ended: ${said}`);
			return (await curl([`http://${address}/-/ready`])).status === 200;
		},
		'Prometheus is ready',
		60_000,
	);
	const ask = async <T>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> => {
		const query = new URLSearchParams(parameters).toString();
		const { status, body } = await curl([`http://${address}/api/v1/${path}?${query}`]);
		if (status !== 200) throw new Error(`${path} ${query}: ${body}`);
		return (JSON.parse(body) as { readonly data: T }).data;
	};
	return {
		async range(expr) {
			const end = Date.now() / 1000;
			const times = { start: String(end - RANGE), end: String(end), step: '1' };
			return (await ask<{ result: readonly Series[] }>('query_range', { query: expr, ...times })).result;
		},
		labelValues: (selector, label) => ask(`label/${label}/values`, { 'match[]': selector }),
		async rules() {
			const { groups } = await ask<{ groups: readonly { rules: readonly LoadedRule[] }[] }>('rules');
			return groups.flatMap(group => group.rules);
		},
	};
}
