import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Show } from '../../src/cli/audit-show.ts';
import { sallyport as command } from '../cli/run.ts';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';

const policy = (path: string): string =>
	`package sallyport.request\n\nallow if input.listener == "never"\n\ndeny contains "no ${path}" if input.http.path == "/${path}"\n`;

test('a recorded decision is made again by the bundle that made it, whatever is in force since', async t => {
	const workspace = makeWorkspace(t);
	const running = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: '127.0.0.1:9', hosts: ['crm.internal'], protocol: 'http' } } },
		policy: { 'request.rego': policy('a') },
	});
	const proxy = throughProxy(workspace, running.address('egress'), workspace.agent('ann'));
	const refused = await curl([...proxy, 'http://crm.internal:9/a']);
	const id = String(refused.json()['decision_id']);
	workspace.write('policies/request.rego', policy('b'));
	await running.waitForRecord(
		({ type, action, seq }) => type === 'control' && action === 'policy' && Number(seq) > 3,
		'the new policy',
	);

	const again = async (...words: readonly string[]) =>
		await command(['policy', 'eval', ...words], { cwd: workspace.directory });
	const made = await again('--decision', id.slice(0, 12));
	assert.equal(made.code, 0, made.err);
	assert.match(made.out, /^deny {2}denied_by_rule {2}\(request, \d+ us\)\n {2}no a\n$/);
	const json = await again('--decision', id, '--json', '--directory', 'var/audit', '--keep', 'var/policy');
	assert.equal((JSON.parse(json.out) as { cause: string }).cause, 'denied_by_rule');

	for (const [words, message] of [
		[['--decision', 'ffffffffffff'], /holds no decision ffffffffffff/],
		[['--decision', id, '--keep', 'elsewhere'], /elsewhere holds no bundle default of revision/],
		[['--decision', id, '--directory', 'elsewhere'], /elsewhere cannot be read/],
		[['--decision', id, '--input', '-'], /either --input or --decision/],
		[[], /either --input or --decision/],
	] as const) {
		const ran = await again(...words);
		assert.equal(ran.code, 2, words.join(' '));
		assert.match(ran.err, message);
	}
});

test('a rule whose result is malformed says so where records are shown', async t => {
	const workspace = makeWorkspace(t);
	const running = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: '127.0.0.1:9', hosts: ['crm.internal'], protocol: 'http' } } },
		policy: { 'request.rego': 'package sallyport.request\n\nallow := "yes" if input.listener\n' },
	});
	const proxy = throughProxy(workspace, running.address('egress'), workspace.agent('ann'));
	await curl([...proxy, 'http://crm.internal:9/a']);
	const decision = await running.waitForRecord(({ cause }) => cause === 'policy_error', 'the decision');
	assert.match(
		new Show(false, true).row({ decision }),
		/policy_error · default: allow is of type string, not a boolean/,
	);
});
