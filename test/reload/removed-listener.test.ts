import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { reload } from './support.ts';

const EGRESS = { name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' };
const GONE = { ...EGRESS, name: 'gone' };

for (const [drain, end] of [
	['60s', 'completed'],
	['300ms', 'draining'],
] as const) {
	test(`what is under way on a listener that a reload removed is drained: ${end} with ${drain}`, async t => {
		const workspace = makeWorkspace(t);
		const answers: ServerResponse[] = [];
		const upstream = await startUpstream(t, { answer: (_request, response) => void answers.push(response) });
		const config = (...listeners: unknown[]) => ({
			listeners,
			drain_timeout: drain,
			upstreams: { crm: { address: upstream.address, hosts: ['crm.test'], protocol: 'http' } },
		});
		const sallyport = await startSallyport(t, workspace, { config: config(EGRESS, GONE) });
		const agent = workspace.agent('a');
		const url = `http://crm.test:${upstream.port}/`;
		const gone = throughProxy(workspace, sallyport.address('gone'), agent);
		const wire = await openWire(t, sallyport.address('gone'), { agent });
		wire.send(`GET ${url} HTTP/1.1\r\nHost: crm.test:${upstream.port}\r\n\r\n`);
		await upstream.request(1);
		assert.equal((await reload(workspace, config(EGRESS))).taken, true);
		assert.notEqual((await curl([...gone, url])).exit, 0, 'nobody comes in there');

		sallyport.signal('SIGTERM');
		await sallyport.waitForLog(({ msg }) => msg === 'draining', 'the drain');
		if (end === 'completed') {
			answers[0]?.end('late');
			await wire.receives(/200 OK[\s\S]*late/);
		} else await wire.closed();
		assert.deepEqual(await sallyport.ended(), { code: 0, signal: null });
		assert.equal(sallyport.records().find(({ type }) => type === 'outcome')?.cause, end);
	});
}
