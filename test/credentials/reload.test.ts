import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { reload } from '../reload/support.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { EVERY, openStage } from './stage.ts';

test('a reload takes new credentials, keeps what stays, and lets go of what is gone', async t => {
	const workspace = makeWorkspace(t);
	for (const name of ['kept', 'gone']) {
		workspace.write(`bin/${name}`, `#!/bin/sh\necho run >>"$0.runs"\necho token-of-${name}\n`);
		chmodSync(workspace.path('bin', name), 0o755);
	}
	const runs = (name: string): number =>
		readFileSync(workspace.path('bin', `${name}.runs`), 'utf8').split('\n').length - 1;
	const program = (name: string, ttl: string) => ({
		agents: [`spiffe://example.org/agents/${name}`],
		bearer: { command: [`bin/${name}`], ttl },
	});
	const stage = await openStage(t, [program('kept', '1h'), program('gone', '1s')], { workspace });
	const upstreams = (credentials: readonly unknown[]) => ({
		upstreams: {
			crm: { address: stage.crm.address, hosts: ['crm.internal'], protocol: 'http', credentials },
			clear: {
				address: 'clear.example:80',
				protocol: 'http',
				credentials: [{ agents: EVERY, bearer: 'token-of-clear' }],
			},
		},
	});
	const used = (): string | undefined => stage.crm.seen.at(-1)?.header('authorization');
	assert.equal((await stage.call([], 'gone')).status, 200);
	assert.equal(used(), 'Bearer token-of-gone');

	workspace.write('new', 'token-of-file');
	const next = [program('kept', '1h'), { agents: EVERY, bearer: { file: 'new' } }];
	assert.equal((await reload(workspace, upstreams(next))).taken, true);
	await stage.sallyport.waitForLog(
		({ level, path }) => level === 'warn' && path === 'upstreams.clear.credentials',
		'a credential in the clear',
	);
	assert.equal((await stage.call([], 'kept')).status, 200);
	assert.equal(used(), 'Bearer token-of-kept');
	assert.equal(runs('kept'), 1, 'what stays is not fetched again');
	assert.equal((await stage.call([], 'gone')).status, 200);
	assert.equal(used(), 'Bearer token-of-file');
	workspace.write('new', 'token-of-new-file');
	await until(
		async () => (await stage.call()).status === 200 && used() === 'Bearer token-of-new-file',
		'it is watched',
	);
	// Longer than its time: nobody asks for it any more.
	const before = runs('gone');
	const began = Date.now();
	await until(() => Date.now() - began > 2500, 'two of its times passed');
	assert.ok(runs('gone') - before <= 1, `${runs('gone') - before} runs`);

	// What cannot be read leaves the configuration of before in force.
	const bad = [{ agents: EVERY, bearer: { file: 'none' } }];
	const refused = await reload(workspace, upstreams(bad));
	assert.equal(refused.taken, false);
	assert.equal((await stage.call()).status, 200);
	assert.doesNotMatch(stage.sallyport.stderr(), /token-of/);
});
