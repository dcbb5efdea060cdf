import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRecordLines } from '../support/records.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { startCentral } from './central.ts';
import { openLoad, percentile } from './load.ts';

/** Bytes of records in a second: little, so that catching up takes long enough to be measured. */
const RATE = 1024 ** 2;

test('a sink that is down under load loses nothing, and catches up at its rate while calls go on', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t, { answer: (_, response) => response.end('ok') });
	const before = await startCentral(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			audit: {
				segment: { size: '1MiB' },
				sinks: [{ http: { url: before.url, rate: '1MiB', batch: { age: '20ms' } } }],
			},
		},
	});
	const agent = workspace.agent('researcher');
	const load = await openLoad(t, sallyport.address('egress'), `crm.internal:${upstream.port}`, agent, 16);
	const usual = await load.run(20);
	const first = new Set(before.lines());
	await before.stop();
	// An hour of load, compressed: several segments of records pile up.
	const down = await load.run(120);
	assert.ok(
		down.statuses.every(status => status === 200),
		'no call waits for a sink',
	);
	await sallyport.waitForLog(({ msg }) => msg === 'the audit sink takes no records', 'it is told');

	const central = await startCentral(t, { port: before.port });
	await until(() => central.uploads.length > 0, 'it takes records again');
	const meanwhile = await load.run(20);
	const chain = () => readRecordLines(workspace.path('var/audit'));
	const lines = () => new Set([...first, ...before.lines(), ...central.lines()]);
	await until(() => {
		const found = lines();
		return chain().every(line => found.has(line));
	}, 'every record of the chain has arrived');
	const seconds = ((central.uploads.at(-1)?.at ?? 0) - (central.uploads[0]?.at ?? 0)) / 1000;
	const bytes = central.lines().reduce((sum, line) => sum + line.length + 1, 0);
	assert.ok(meanwhile.statuses.every(status => status === 200));
	assert.ok(bytes > 2 * RATE, 'there was something to catch up with');
	assert.ok(bytes / seconds < RATE * 1.5, `${Math.round(bytes / seconds)} bytes a second`);
	assert.equal(new Set(central.lines()).size, central.lines().length, 'nothing came twice without a reason');
	const show = ({ milliseconds }: { readonly milliseconds: number[] }): string =>
		`p50 ${percentile(milliseconds, 0.5).toFixed(1)} ms, p99 ${percentile(milliseconds, 0.99).toFixed(1)} ms`;
	t.diagnostic(`usually ${show(usual)}; while it is down ${show(down)}; while it catches up ${show(meanwhile)}`);
	t.diagnostic(`${(bytes / 1024 ** 2).toFixed(1)} MiB of records in ${seconds.toFixed(1)} s`);
});
