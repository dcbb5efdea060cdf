import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { test } from 'node:test';
import { sallyport } from '../cli/run.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { EVERY, openStage } from './stage.ts';

const readiness = (address: string): Promise<string> =>
	new Promise((resolve, reject) => {
		get(`http://${address}/readyz`, { agent: false }, response => {
			let text = '';
			response.setEncoding('utf8').on('data', (part: string) => {
				text += part;
			});
			response.on('end', () => resolve(`${response.statusCode} ${text}`)).on('error', reject);
		}).on('error', reject);
	});

/** Processes whose command line holds the text. */
const running = (text: string): number =>
	readdirSync('/proc')
		.filter(name => /^\d+$/.test(name))
		.filter(pid => {
			try {
				return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
			} catch {
				return false;
			}
		}).length;

test('programs that hang, flood, or are not there: their calls are refused, everything else goes on, and status says why', async t => {
	const workspace = makeWorkspace(t);
	const mark = `3600.${process.pid}`;
	const of = (name: string, command: readonly string[]) => ({
		agents: [`spiffe://example.org/agents/${name}`],
		name,
		bearer: { command, timeout: '500ms' },
	});
	const stage = await openStage(
		t,
		[
			of('hang', ['sh', '-c', `printf held-partial; sleep ${mark} & sleep ${mark}`]),
			of('flood', ['sh', '-c', 'while :; do printf held-flooding; done']),
			of('missing', ['no-such-program-anywhere', 'held-argument']),
			of('breaks', ['printf', 'held\\r\\nX-Injected: 1']),
			of('binary', ['printf', '\\377\\376']),
			{ agents: EVERY, bearer: 'held-literal' },
		],
		{ workspace },
	);
	assert.equal((await stage.call()).status, 200, 'others are served');
	for (const name of ['hang', 'flood', 'missing', 'breaks', 'binary']) {
		const answer = await stage.call([], name);
		assert.equal(answer.status, 403, name);
		assert.equal(answer.json()['cause'], 'no_credential');
		assert.doesNotMatch(answer.body, /held|program|printf/);
	}
	await until(() => running(mark) <= 2, 'no run outlives its time by much');

	const ready = await readiness(stage.sallyport.health());
	assert.match(ready, /^200 /, 'what else there is can be served');
	assert.match(ready, /"degraded":\[\{"part":"credentials","reason":"crm hang has no valid value/);
	const { out } = await sallyport(['status', '--config', 'sallyport.yaml', '--json'], { cwd: workspace.directory });
	const { credentials } = JSON.parse(out) as { credentials: { credential: string; sources: { problem?: string }[] }[] };
	const problem = (name: string) =>
		credentials.find(({ credential }) => credential === name)?.sources[0]?.problem ?? '';
	assert.equal(problem('hang'), 'did not end within 500 ms');
	assert.equal(problem('flood'), 'printed more than 16 KiB');
	assert.equal(problem('missing'), 'cannot be started (ENOENT)');
	assert.match(problem('breaks'), /^what it prints holds what no bearer token can/);
	assert.equal(problem('binary'), 'what it prints is not UTF-8');
	assert.equal(problem('5'), '');
	const told = await sallyport(['status', '--config', 'sallyport.yaml'], { cwd: workspace.directory });
	assert.match(told.out, /credentials {2}1 of 6 can be used/);
	assert.match(told.out, /crm missing: command no-such-program-anywhere: cannot be started/);
	await stage.sallyport.stop();
	await until(() => running(mark) === 0, 'nothing is left behind');
	const written = stage.sallyport.stderr() + JSON.stringify(stage.sallyport.records()) + out + told.out;
	assert.doesNotMatch(written, /held-/);
});
