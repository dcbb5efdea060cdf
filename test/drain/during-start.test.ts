import assert from 'node:assert/strict';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** A compiler that says when it is asked, and takes its time: the start waits for it. */
const SLOW =
	'#!/bin/sh\nif [ "$1" = version ]; then echo asked >&2; echo "Version: 1.22.2"; exit; fi\nsleep 1\nexit 1\n';

test('SIGTERM during the start stops it when that is over, with status 0', async t => {
	const workspace = makeWorkspace(t);
	const opa = workspace.write('opa', SLOW);
	chmodSync(opa, 0o755);
	const started = join(workspace.directory, 'started');
	writeFileSync(opa, SLOW.replace('echo asked >&2', `touch ${started}`));
	const sallyport = await startSallyport(t, workspace, {
		config: { policy: { files: ['policies'], opa: 'opa' } },
		wait: false,
	});
	await until(() => existsSync(started), 'the start is under way');
	assert.equal(
		sallyport.log().find(({ msg }) => msg === 'sallyport is up'),
		undefined,
	);
	sallyport.signal('SIGHUP');
	sallyport.signal('SIGTERM');
	assert.deepEqual(await sallyport.ended(), { code: 0, signal: null });
	const said = sallyport.log().map(({ msg }) => msg);
	assert.ok(said.includes('stopping as soon as the start is over'), sallyport.stderr());
	assert.equal(said.at(-1), 'stopped');
});

test('a second SIGTERM ends a drain at once, and says so', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t, { answer: () => {} });
	const sallyport = await startSallyport(t, workspace, {
		config: {
			drain_timeout: '60s',
			upstreams: { crm: { address: upstream.address, hosts: ['crm.test'], protocol: 'http' } },
		},
	});
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('a'));
	const call = curl([...proxy, `http://crm.test:${upstream.port}/`]);
	await upstream.request(1);
	sallyport.signal('SIGTERM');
	await sallyport.waitForLog(({ msg }) => msg === 'draining', 'it drains');
	sallyport.signal('SIGTERM');
	assert.deepEqual(await sallyport.ended(), { code: 1, signal: null });
	assert.equal(sallyport.log().at(-1)?.msg, 'a second signal: stopping now');
	await call;
});

test('a file that is not there: the start says what to do', async t => {
	const workspace = makeWorkspace(t);
	rmSync(workspace.path('certs/sallyport.pem'));
	const sallyport = await startSallyport(t, workspace, { wait: false });
	assert.deepEqual(await sallyport.ended(), { code: 1, signal: null });
	assert.match(
		sallyport.stderr(),
		/sallyport\.yaml:\d+:\d+ {2}identity\.svid\.files\.certificate: there is no file .*`sallyport certs init` makes it$/m,
	);
});
