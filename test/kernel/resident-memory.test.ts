import assert from 'node:assert/strict';
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** MB of the process that are mapped from files, mostly the program (proc_pid_status(5)). */
const mapped = (pid: number): number =>
	Number(/^RssFile:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;

test('the pages that only starting read are given back, and calls go on', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	// As an image holds it that was just unpacked: the file is not on the disk yet.
	const node = workspace.path('node');
	await pipeline(createReadStream(process.execPath), createWriteStream(node, { mode: 0o755 }));
	const sallyport = await startSallyport(t, workspace, {
		env: { SALLYPORT_NODE: node },
		config: { upstreams: { crm: { address: upstream.address, protocol: 'http' } } },
	});
	// Node alone reads 50 MB of itself to start; a quarter is enough to wait for the next event.
	await until(() => mapped(sallyport.pid) < 25, 'the pages are given back');
	const proxy = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
	const answer = await curl([...proxy, `http://${upstream.address}/`]);
	assert.equal(answer.status, 200);
	assert.equal(answer.json()['url'], '/');
});
