import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { findNats, NO_NATS, startNats } from '../support/nats.ts';
import { readRecordLines } from '../support/records.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { openStream } from './stream.ts';

test('every record is in the stream once, over a server that was down, a kill -9 and lost positions', async t => {
	const server = findNats();
	if (server === undefined) return t.skip(NO_NATS);
	const workspace = makeWorkspace(t);
	const pair = workspace.server('nats');
	workspace.write('secrets/nats', 'seed-of-the-sink\n');
	const config = [
		`tls { cert_file: "${pair.certificate}", key_file: "${pair.key}", ca_file: "${workspace.ca}", verify: true }`,
		'authorization { user: sallyport, password: seed-of-the-sink }',
	].join('\n');
	let nats = await startNats(t, workspace, server, { config });
	const agent = workspace.agent('researcher');
	const stream = await openStream(t, nats.port, {
		user: 'sallyport',
		pass: 'seed-of-the-sink',
		tls: { caFile: workspace.ca, certFile: agent.certificate, keyFile: agent.key },
	});
	const upstream = await startUpstream(t);
	const sink = {
		servers: [`tls://localhost:${nats.port}`],
		credential: { username: 'sallyport', password: { file: 'secrets/nats' } },
		present_svid: true,
		roots: 'certs/ca.pem',
	};
	const options = {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			audit: { sinks: [{ nats: sink }] },
		},
	};
	let sallyport = await startSallyport(t, workspace, options);
	const call = async (path: string): Promise<void> => {
		const through = throughProxy(workspace, sallyport.address('egress'), agent);
		const answer = await curl([...through, `http://crm.internal:${upstream.port}${path}`]);
		assert.equal(answer.status, 200, answer.error);
	};
	const arrives = (path: string): Promise<boolean> =>
		until(async () => (await stream.lines()).some(line => line.includes(`"path":"${path}"`)), `${path} arrives`);
	await call('/one');
	await arrives('/one');
	await nats.kill();
	await call('/while-it-is-down');
	await sallyport.waitForLog(({ msg }) => msg === 'the audit sink takes no records', 'it is told');
	nats = await startNats(t, workspace, server, { config, port: nats.port });
	await arrives('/while-it-is-down');
	await sallyport.kill();
	rmSync(workspace.path('var/audit/sinks.json'));
	sallyport = await startSallyport(t, workspace, options);
	await call('/after');
	await sallyport.stop();
	const chain = readRecordLines(workspace.path('var/audit'));
	const messages = await stream.messages();
	assert.deepEqual(
		messages.map(({ text }) => text),
		chain,
		'all, in order, and none twice',
	);
	const { chain: id, seq, type } = JSON.parse(chain[0] ?? '') as { chain: string; seq: number; type: string };
	assert.deepEqual({ ...messages[0], text: '' }, { subject: `sallyport.audit.${type}`, id: `${id}.${seq}`, text: '' });
	assert.ok(!(sallyport.stderr() + chain.join('')).includes('seed-of'));
	assert.ok(!readFileSync(workspace.path('var/audit/sinks.json'), 'utf8').includes('seed-of'));
});
