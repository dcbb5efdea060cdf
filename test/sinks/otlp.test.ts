import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, decision, denied, depsOf, linesOf, opened, recorded, START, temporary } from '../audit/fixture.ts';
import { until } from '../audit/until.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { readRecordLines } from '../support/records.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { type Collector, startCollector } from './collector.ts';

const settingsOf = (collector: Collector) => ({
	url: collector.url,
	present_svid: false,
	batch: { bytes: 128 * 1024, age: 0 },
	rate: 2 ** 30,
	timeout: 5000,
});

test('a record is a log record with its line, its decision, a severity and who wrote it', async t => {
	const collector = await startCollector(t);
	const directory = await temporary(t);
	const audit = await opened(t, configOf(directory, { sinks: [{ otlp: settingsOf(collector) }] }), depsOf());
	await recorded(audit, decision('allowed'));
	await recorded(audit, denied('refused'));
	await until(() => audit.status().sinks[0]?.behind === 0);
	const [, allowed, refused] = collector.logs();
	const [, line] = await linesOf(directory);
	const { chain } = JSON.parse(line ?? '') as { chain: string };
	assert.deepEqual(allowed, {
		body: line,
		event: 'sallyport.decision',
		severity: 9,
		time: BigInt(START) * 1_000_000n,
		attributes: {
			'sallyport.type': 'decision',
			'sallyport.chain': chain,
			'sallyport.seq': 2,
			'sallyport.decision_id': 'allowed',
			'sallyport.verdict': 'allow',
		},
		resource: { 'service.name': 'sallyport', 'service.version': '0.1.0', 'service.instance.id': 'sallyport-1' },
		scope: 'sallyport.audit',
	});
	assert.equal(refused?.severity, 13);
	const [request] = collector.requests;
	assert.equal(request?.url, '/v1/logs');
	assert.equal(request.headers['content-type'], 'application/x-protobuf');
});

test('what a collector rejects of a body is counted and told, and nothing comes twice for it', async t => {
	const collector = await startCollector(t);
	const directory = await temporary(t);
	// ExportLogsServiceResponse { partial_success { rejected_log_records: 2 error_message: "no" } }
	let body: Buffer | undefined = Buffer.from([0x0a, 0x06, 0x08, 0x02, 0x12, 0x02, 0x6e, 0x6f]);
	collector.answer(logs => {
		if (logs.length < 3) return { status: 200 };
		const once = body;
		body = undefined;
		return { status: 200, ...(once === undefined ? {} : { body: once }) };
	});
	const audit = await opened(t, configOf(directory, { sinks: [{ otlp: settingsOf(collector) }] }), depsOf());
	await Promise.all(['a', 'b', 'c', 'd'].map(id => recorded(audit, decision(id))));
	await until(() => audit.status().sinks[0]?.refused === 2);
	await until(() => audit.status().sinks[0]?.behind === 0);
	const lines = await linesOf(directory);
	assert.deepEqual(
		collector.logs().map(({ body: line }) => line),
		lines,
	);
	const told = lines.filter(line => line.includes('"action":"sink_refused"'));
	assert.equal(told.length, 1);
	assert.match(told[0] ?? '', /"count":2,.*"answer":"it rejects some of \d records"/);
});

test('a collector that is overrun gets everything later, from the real process', async t => {
	const collector = await startCollector(t);
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	collector.answer(() => ({ status: 429, headers: { 'retry-after': '1' } }));
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			audit: { sinks: [{ otlp: { url: collector.url, batch: { age: '50ms' } } }] },
		},
	});
	const through = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
	assert.equal((await curl([...through, `http://crm.internal:${upstream.port}/one`])).status, 200);
	const line = await sallyport.waitForLog(({ msg }) => msg === 'the audit sink takes no records', 'it is told');
	assert.equal(line.error, 'it answers 429');
	assert.equal(collector.logs().length, 0);
	collector.answer(() => ({ status: 200 }));
	await sallyport.waitForLog(({ msg }) => msg === 'the audit sink takes records again', 'it catches up');
	await sallyport.stop();
	assert.deepEqual(
		[...new Set(collector.logs().map(({ body }) => body))],
		readRecordLines(workspace.path('var/audit')),
	);
});
