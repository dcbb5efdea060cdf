import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('SIGHUP puts a changed configuration into force without closing listeners; a broken one changes nothing', async t => {
	const workspace = makeWorkspace(t);
	const first = await startUpstream(t, { answer: (_request, response) => response.end('first') });
	const second = await startUpstream(t, { answer: (_request, response) => response.end('second') });
	const upstreams = (port: number): unknown => ({
		crm: { address: `127.0.0.1:${port}`, hosts: ['crm.test'], protocol: 'http' },
	});
	const sallyport = await startSallyport(t, workspace, { config: { upstreams: upstreams(first.port) } });
	const file = workspace.path('sallyport.yaml');
	const before = parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	assert.equal((await curl([...proxy, `http://crm.test:${first.port}/`])).body, 'first');

	workspace.write('sallyport.yaml', stringify({ ...before, upstreams: upstreams(second.port) }));
	sallyport.signal('SIGHUP');
	await sallyport.waitForLog(line => line.msg === 'the configuration was read again', 'the reload');
	assert.equal((await curl([...proxy, `http://crm.test:${second.port}/`])).body, 'second');
	// The place of before is undeclared now, and loopback is not for undeclared targets.
	assert.equal((await curl([...proxy, `http://crm.test:${first.port}/`])).status, 502);

	workspace.write(
		'sallyport.yaml',
		stringify({ ...before, upstreams: { crm: { address: 'nowhere', protocol: 'http' } } }),
	);
	sallyport.signal('SIGHUP');
	const refused = await sallyport.waitForLog(
		line => String(line.msg).startsWith('the configuration was not taken'),
		'the refusal',
	);
	assert.match(JSON.stringify(refused['problems']), /"path":"upstreams\.crm\.address"/);
	await until(
		async () => /sallyport_reload_last_success\{part="config"\} 0/.test(await sallyport.metrics()),
		'the metric',
	);
	assert.equal((await curl([...proxy, `http://crm.test:${second.port}/`])).body, 'second');
	assert.equal((await curl([`http://${sallyport.health()}/readyz`])).status, 200);
});

test('a reload adds and removes listeners, and leaves all as it was when a socket is not to be had', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, protocol: 'http' } } },
	});
	const file = workspace.path('sallyport.yaml');
	const before = parse(readFileSync(file, 'utf8')) as { listeners: unknown[] };
	const door = { name: 'crm', address: '127.0.0.1:0', upstream: 'crm' };
	workspace.write('sallyport.yaml', stringify({ ...before, listeners: [...before.listeners, door] }));
	sallyport.signal('SIGHUP');
	await sallyport.waitForLog(line => line.msg === 'listening' && line['listener'] === 'crm', 'the new listener');
	const agent = workspace.agent('a');
	const atDoor = [
		'--cacert',
		workspace.ca,
		'--cert',
		agent.certificate,
		'--key',
		agent.key,
		`https://${sallyport.address('crm')}/x`,
	];
	assert.equal((await curl(atDoor)).status, 200);

	const taken = { name: 'taken', address: upstream.address, upstream: 'crm' };
	workspace.write('sallyport.yaml', stringify({ ...before, listeners: [taken] }));
	sallyport.signal('SIGHUP');
	await sallyport.waitForLog(line => String(line.msg).startsWith('the configuration was not taken'), 'the refusal');
	assert.equal((await curl(atDoor)).status, 200);

	workspace.write('sallyport.yaml', stringify(before));
	sallyport.signal('SIGHUP');
	await until(async () => (await curl(atDoor)).exit !== 0, 'the door is closed');
});
