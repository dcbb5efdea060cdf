import { createMetrics } from '../src/telemetry/metrics.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

/** docs/metrics.md */
export async function metricsPage(): Promise<string> {
	const { registry } = createMetrics('0');
	const described = new Map((await registry.getMetricsAsJSON()).map(metric => [metric.name, metric]));
	const rows = registry.getMetricsAsArray().map(metric => {
		const names: unknown = Reflect.get(metric, 'labelNames');
		const labels = Array.isArray(names) ? names.map(String) : [];
		const { name } = metric;
		return {
			own: name.startsWith('sallyport_'),
			cells: [code(name), String(described.get(name)?.type ?? ''), labels.map(code).join(', '), metric.help],
		};
	});
	registry.clear();
	const head = ['metric', 'type', 'labels', 'what it says'];
	const table = (own: boolean): string =>
		markdownTable(
			head,
			rows.filter(row => row.own === own).map(({ cells }) => cells),
		);
	return `${generatedFrom('src/telemetry/metrics.ts')}
# Metrics

At \`/metrics\` of \`admin.health.address\`, in Prometheus' text format. Every label has a bounded set of values: targets that
are not declared share one, agents have none unless \`telemetry.metrics.agents\` says how many may (then \`agent\`, with \`other\` for the rest), and \`cause\` is from [the closed list](causes.md).

${table(true)}
## Of the process

Node's own, as \`prom-client\` collects them.

${table(false)}`;
}
