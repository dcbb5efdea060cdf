import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import type { ReloadOutcome } from '../../src/admin/api.ts';
import { loadConfigApart } from '../../src/config/load-apart.ts';
import type { Config } from '../../src/config/schema.ts';
import { Reloads } from '../../src/reload.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { defaults } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('whatever fails in a reload is a problem that it tells, and the next one goes through', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('sallyport.yaml', stringify(defaults(workspace)));
	const loaded = await loadConfigApart(workspace.path('sallyport.yaml'), process.env);
	assert.ok('config' in loaded, JSON.stringify(loaded));
	const failing: { part?: Error; apply?: Error } = {};
	const told: boolean[] = [];
	let over = 0;
	let config: Config = loaded.config;
	const reloads = new Reloads({
		file: loaded.file,
		environment: process.env,
		log: createLog('silent'),
		parts: [async () => (failing.part === undefined ? [] : Promise.reject(failing.part))],
		config: () => config,
		apply: async next => {
			if (failing.apply !== undefined) throw failing.apply;
			config = next;
		},
		taken: yes => told.push(yes),
		over: () => over++,
	});
	const messages = ({ problems }: ReloadOutcome): string[] => problems.map(({ message }) => message);

	failing.part = new Error('a look failed');
	assert.deepEqual(messages(await reloads.reload()), ['a look failed']);
	assert.equal(reloads.problems[0]?.message, 'a look failed');
	delete failing.part;
	failing.apply = new Error('a socket is not to be had');
	assert.deepEqual(messages(await reloads.reload()), ['a socket is not to be had']);
	assert.equal(config, loaded.config);
	delete failing.apply;
	assert.deepEqual(messages(await reloads.reload()), []);
	assert.deepEqual(reloads.problems, []);
	assert.deepEqual([told, over], [[false, false, true], 3]);
});
