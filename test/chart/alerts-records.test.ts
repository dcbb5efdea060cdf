import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { idOf, openStage, type Stage } from '../revocation/stage.ts';
import { startCentral } from '../sinks/central.ts';
import { toolFor } from '../support/chart.ts';
import { until } from '../support/until.ts';
import { assertFires, longWorkspace, sampleOf, scrape } from './firing.ts';

/** Calls with long paths, until the metrics say so. */
async function fill(
	{ workspace, connect, get, sallyport }: Stage,
	full: (metrics: string) => boolean,
): Promise<string> {
	const wire = await connect(workspace.agent('researcher'));
	const path = `/${'x'.repeat(8000)}`;
	let answers = 0;
	await until(
		async () => {
			wire.send(get(path));
			answers++;
			await until(() => wire.text().split('HTTP/1.1 ').length > answers, 'it is answered');
			return full(await sallyport.metrics());
		},
		'the audit directory is as full as that',
		60_000,
	);
	return scrape(sallyport);
}

test('the audit directory fills, and one agent fills its share of it', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const open = (share: number): Promise<Stage> =>
		openStage(t, {
			workspace: longWorkspace(t),
			config: { audit: { limit: '1MiB', segment: { size: '1MiB' }, agent_share: share } },
		});
	const all = await open(1);
	const before = await scrape(all.sallyport);
	const share = (text: string): number =>
		sampleOf(text, 'sallyport_audit_spool_bytes') / sampleOf(text, 'sallyport_audit_limit_bytes');
	const filled = await fill(all, text => share(text) > 0.81);
	assertFires(t, promtool, ['SallyportSpoolFills'], { texts: [before, filled] });

	const shared = await open(0.2);
	const first = await scrape(shared.sallyport);
	const failed = await fill(shared, text => text.includes('sallyport_audit_failures_total{reason="agent_share"}'));
	// It is refused, and what is refused for it is in no record.
	assertFires(t, promtool, ['SallyportAgentFloods', 'SallyportUnrecorded'], { texts: [first, failed] });
});

test('a disk that takes nothing: records, and revocations that a restart would lose', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const stage = await openStage(t, { workspace: longWorkspace(t), config: { audit: { on_failure: 'continue' } } });
	const wire = await stage.connect(stage.workspace.agent('researcher'));
	wire.send(stage.get('/'));
	await wire.receives('HTTP/1.1 200');
	const before = await scrape(stage.sallyport);
	// Every write beyond the first byte of a file fails with EFBIG.
	execFileSync('prlimit', ['--pid', String(stage.sallyport.pid), '--fsize=1:1']);
	wire.send(stage.get('/second'));
	await wire.receives(/HTTP\/1\.1 200[\s\S]*HTTP\/1\.1 200/);
	const answer = await stage.control('POST', '/v1/revocations', { what: idOf('other'), reason: 'a test' });
	assert.equal(answer.json()['kept'], false, answer.text);
	const after = await scrape(stage.sallyport);
	assert.match(after, /^sallyport_audit_writable 0$/m);
	assertFires(t, promtool, ['SallyportAuditFails', 'SallyportRevocationsUnkept', 'SallyportUnrecorded'], {
		texts: [before, after],
	});
	// It fires for as long as it is so: the counters have long stopped. What was lost is told once.
	assertFires(t, promtool, ['SallyportAuditFails', 'SallyportRevocationsUnkept'], {
		texts: [before, after],
		later: 30,
	});
});

test('a sink that refuses records, and one that is away', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const central = await startCentral(t);
	central.answer(lines => ({ status: lines.some(line => line.includes('/poison')) ? 422 : 200 }));
	const batch = { age: '0s' };
	const stage = await openStage(t, {
		workspace: longWorkspace(t),
		config: { audit: { sinks: [{ http: { url: central.url, present_svid: false, batch } }] } },
	});
	const wire = await stage.connect(stage.workspace.agent('researcher'));
	const scraped = (fits: (text: string) => boolean, what: string): Promise<string> =>
		scrape(stage.sallyport, fits, what);
	const caughtUp = (text: string): boolean => sampleOf(text, 'sallyport_audit_oldest_unsent_timestamp_seconds') === 0;
	wire.send(stage.get('/'));
	await until(() => central.lines().some(line => line.includes('"type":"outcome"')), 'it has the records');
	const before = await scraped(caughtUp, 'it has all');
	wire.send(stage.get('/poison'));
	const refused = await scraped(
		text => sampleOf(text, 'sallyport_audit_sink_refused_total') > 0 && caughtUp(text),
		'it refused one',
	);
	assertFires(t, promtool, ['SallyportSinkRefuses'], { texts: [before, refused] });

	await central.stop();
	wire.send(stage.get('/while'));
	const behind = await scraped(text => !caughtUp(text), 'it is behind');
	assertFires(t, promtool, ['SallyportSinkBehind'], { texts: [refused, behind], later: 13 });
});
