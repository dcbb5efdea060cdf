import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { SALLYPORT, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

const CALLERS = 16;

test('kill -9 under load: what reached the upstream has its decision, what has no outcome is named, the chain verifies', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t, {
		answer(request, response) {
			// Held back, so that calls are open at the kill.
			if (request.url?.startsWith('/held/') !== true) response.end('ok');
		},
	});
	const config = { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } };
	const sallyport = await startSallyport(t, workspace, { config });
	const [host = '', port = ''] = sallyport.address('egress').split(':');
	const { certificate, key } = workspace.agent('a');
	const agent = new Agent({
		cert: readFileSync(certificate),
		key: readFileSync(key),
		ca: readFileSync(workspace.ca),
		keepAlive: true,
	});
	t.after(() => agent.destroy());
	let killed = false;
	let next = 0;
	const call = (kind: 'held' | 'quick'): void => {
		if (killed) return;
		const path = `http://crm.internal:${upstream.port}/${kind}/${next++}`;
		const headers = { host: `crm.internal:${upstream.port}` };
		const sent = request({ host, port, path, agent, headers, servername: '' }, response => {
			response.resume();
			response.on('end', () => call(kind)).on('error', () => {});
		});
		sent.on('error', () => {});
		sent.end();
	};
	for (let n = 0; n < CALLERS; n++) call(n % 4 === 0 ? 'held' : 'quick');
	await until(() => upstream.seen.length >= 200, 'there is load');
	await sallyport.kill();
	killed = true;

	const again = await startSallyport(t, workspace, { config });
	await again.stop();
	const records = again.records();
	const decided = new Map(
		records.filter(({ type }) => type === 'decision').map(record => [record.call?.['path'], record]),
	);
	for (const { url } of upstream.seen) assert.ok(decided.has(url), `${url} has its decision`);
	const ends = new Map(
		records.filter(({ type }) => type === 'outcome').map(record => [record.decision_id, record.cause]),
	);
	for (const decision of decided.values()) assert.ok(ends.has(decision.decision_id), 'every permitted call has an end');
	assert.ok([...ends.values()].includes('unknown'), 'what was open at the kill ended in `unknown`');
	assert.ok([...ends.values()].includes('completed'));

	const { stdout } = await promisify(execFile)(SALLYPORT, [
		'audit',
		'verify',
		'--directory',
		workspace.path('var/audit'),
		'--json',
	]);
	assert.ok(stdout.length > 0);
});
