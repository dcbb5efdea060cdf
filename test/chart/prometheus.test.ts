import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { bundleOf, startBundleServer } from '../distribution/server.ts';
import { idOf, openStage } from '../revocation/stage.ts';
import { startCentral } from '../sinks/central.ts';
import { dataOf, find, PLACEMENTS, rendered, toolFor } from '../support/chart.ts';
import { type LoadedRule, type Series, startPrometheus } from '../support/prometheus.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { RULES } from './firing.ts';

interface Dashboard {
	readonly panels: readonly {
		readonly title: string;
		readonly targets: readonly { readonly expr: string; readonly legendFormat?: string }[];
	}[];
	readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
}

/** A collector of traces that takes every second batch. */
async function startCollector(t: TestContext): Promise<string> {
	let batches = 0;
	const server = createServer((request, response) => {
		request.resume().on('end', () => response.writeHead(batches++ % 2 === 0 ? 200 : 400).end('{}'));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
}

/** A Sallyport that has, and does, something of everything that the dashboard shows. */
async function openUsed(t: TestContext) {
	const workspace = makeWorkspace(t);
	const [server, reports] = [await startBundleServer(t, workspace), await startBundleServer(t, workspace)];
	reports.misbehave((_request, response) => response.writeHead(200).end());
	server.serve(await bundleOf(workspace, 'allow if input.http.method == "GET"', 'one'));
	workspace.write('next/request.rego', 'package sallyport.request\n\nallow if input.http.path == "/"\n');
	const central = await startCentral(t);
	central.answer(lines => ({ status: lines.some(line => line.includes('/poison')) ? 422 : 200 }));
	const status = { url: new URL('/status', reports.url).href, roots: 'certs/ca.pem', interval: '1s' };
	const team = { name: 'team', url: server.url, roots: 'certs/ca.pem', poll: { min: '300ms', max: '400ms' } };
	const stage = await openStage(t, {
		workspace,
		policy: {},
		config: {
			policy: { bundles: [team, { name: 'next', files: ['next'], shadow: true }], status },
			audit: { sinks: [{ http: { url: central.url, present_svid: false, batch: { age: '0s' } } }] },
			telemetry: { traces: { otlp: { url: await startCollector(t) } } },
		},
	});
	const call = async (request: string): Promise<void> => {
		const wire = await stage.connect(workspace.agent('researcher'));
		wire.send(request);
		await wire.closed();
	};
	let round = 0;
	return {
		...stage,
		/** Calls that are allowed and denied, a stranger, a record that the sink refuses, somebody who is revoked. */
		async use(): Promise<void> {
			round++;
			await call(stage.get(`/${round}`, 'Connection: close\r\n'));
			await call(stage.get('/poison', 'Connection: close\r\n'));
			await call(stage.get('/', 'Connection: close\r\n').replace('GET', 'DELETE'));
			const stranger = await openWire(t, stage.sallyport.address('egress'), { tls: {} });
			stranger.send(stage.get('/', 'Connection: close\r\n'));
			await stranger.closed();
			await stage.order(idOf(`other-${round}`));
		},
	};
}

const finite = ({ values }: Series): boolean => values.some(([, value]) => Number.isFinite(Number(value)));

test('a real Prometheus that scrapes a real Sallyport answers every query of the dashboard, and has the alerts', async t => {
	const helm = toolFor(t, 'helm');
	const program = helm && toolFor(t, 'prometheus');
	if (helm === undefined || program === undefined) return;
	const manifests = rendered(helm, PLACEMENTS['gateway with everything'] ?? {});
	const dashboard = JSON.parse(dataOf(find(manifests, 'ConfigMap', '-dashboard'), 'sallyport.json')) as Dashboard;
	const used = await openUsed(t);
	const { workspace, sallyport } = used;
	const prometheus = await startPrometheus(t, workspace, {
		program,
		target: sallyport.health(),
		labels: { namespace: 'agents', pod: 'researcher-1' },
		rules: workspace.write('rules.yaml', stringify(find(manifests, 'PrometheusRule')['spec'])),
	});
	// Not taken: what was in force stays.
	const config = readFileSync(workspace.path('sallyport.yaml'), 'utf8');
	workspace.write('sallyport.yaml', `${config}\nunknown: true\n`);
	sallyport.signal('SIGHUP');

	/** As Grafana fills them in, in their order: those of before stand in those that follow. */
	const chosen: Record<string, string> = {};
	const filled = (text: string, values = chosen): string =>
		text.replace(/\$(\w+)/g, (_, name: string) => values[name] ?? assert.fail(`there is no variable ${name}`));
	await until(async () => {
		for (const { name, query } of dashboard.templating.list) {
			const asked = /^label_values\((.*), (\w+)\)$/.exec(query);
			const [value] = asked === null ? [] : await prometheus.labelValues(filled(asked[1] ?? ''), asked[2] ?? '');
			if (asked !== null && value === undefined) return false;
			chosen[name] = value ?? query;
		}
		return true;
	}, 'every variable has a value');
	assert.deepEqual(chosen, { datasource: 'prometheus', namespace: 'agents', pod: 'researcher-1' });

	const everything = { ...chosen, namespace: '.*', pod: '.*' };
	for (const { title, targets } of dashboard.panels)
		for (const { expr, legendFormat = '' } of targets)
			for (const query of [filled(expr), filled(expr, everything)]) {
				const [found] = await until(
					async () => {
						await used.use();
						const series = (await prometheus.range(query)).filter(finite);
						return series.length > 0 && series;
					},
					`${title}: there are values of ${query}`,
					30_000,
				);
				for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
					assert.ok(found?.metric[label] !== undefined, `${title}: ${label}`);
			}

	const rules = await until(async () => {
		const all = await prometheus.rules();
		return all.every(({ health }) => health !== 'unknown') && all;
	}, 'every rule was evaluated');
	assert.deepEqual(
		rules.map(({ name, health, lastError }) => [name, health, lastError]),
		RULES.map(({ alert }) => [alert, 'ok', undefined]),
	);
	const alert = (name: string): LoadedRule | undefined => rules.find(rule => rule.name === name);
	assert.equal(alert('SallyportSinkRefuses')?.state, 'firing');
	assert.equal(alert('SallyportReloadFailed')?.state, 'pending');
	assert.equal(alert('SallyportReloadFailed')?.alerts?.[0]?.labels['pod'], 'researcher-1');
	assert.equal(alert('SallyportWithoutSvid')?.state, 'inactive');
});
