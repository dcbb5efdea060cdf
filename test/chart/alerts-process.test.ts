import { test } from 'node:test';
import { toolFor } from '../support/chart.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { assertFires, longWorkspace, sampleOf, scrape } from './firing.ts';

test('a process that starts again and again', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const texts: string[] = [];
	for (let start = 0; start < 4; start++) {
		const sallyport = await startSallyport(t, workspace);
		const text = await scrape(sallyport);
		texts.push(text);
		await sallyport.kill();
		const started = sampleOf(text, 'process_start_time_seconds');
		await until(() => Date.now() / 1000 > started + 1, 'the next one starts in another second');
	}
	assertFires(t, promtool, ['SallyportRestarts'], { texts });
});

test('an event loop that is late', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const sallyport = await startSallyport(t, workspace);
	const before = await scrape(sallyport);
	const after = await until(
		async () => {
			// As if the machine had no processor for it.
			sallyport.signal('SIGSTOP');
			await new Promise(resolve => setTimeout(resolve, 300));
			sallyport.signal('SIGCONT');
			const text = await sallyport.metrics();
			return sampleOf(text, 'nodejs_eventloop_lag_p99_seconds') > 0.1 && text;
		},
		'the loop was late',
		60_000,
	);
	assertFires(t, promtool, ['SallyportSlow'], { texts: [before, after] });
});

test('a process that is used, and has nothing to tell of', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, protocol: 'http' } },
			audit: { sinks: [{ file: { path: 'records.jsonl' } }] },
		},
	});
	// What stands there lasts for an hour: not a moment in which a record was just on its way.
	const settled = () =>
		scrape(
			sallyport,
			text => sampleOf(text, 'sallyport_audit_oldest_unsent_timestamp_seconds') === 0,
			'the sink has every record',
		);
	const texts = [await settled()];
	const agent = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
	for (let round = 0; round < 3; round++) {
		await curl([...agent, `http://${upstream.address}/`]);
		texts.push(await settled());
	}
	assertFires(t, promtool, [], { texts, lasting: true, later: 60 });
});
