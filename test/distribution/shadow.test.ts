import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { startBundleServer } from './server.ts';
import { openDistribution } from './support.ts';

interface Tried {
	readonly bundle: string;
	readonly revision: string;
	readonly verdict: string;
	readonly cause?: string;
	readonly error?: string;
}

test('a shadow bundle is recorded beside each decision, and changes none, whatever it says or is', async t => {
	const workspace = makeWorkspace(t);
	const away = await startBundleServer(t, workspace);
	away.misbehave(() => undefined);
	const rego = (rules: string): string => `package sallyport.request\n\n${rules}\n`;
	workspace.write('active/request.rego', rego('allow if input.http.path == "/"'));
	workspace.write(
		'next/request.rego',
		rego('deny contains "later" if input.agent.path == "/agents/a"\n\nallow := true'),
	);
	const stage = await openDistribution(t, {
		workspace,
		config: {
			policy: {
				bundles: [
					{ name: 'active', files: ['active'] },
					{ name: 'next', files: ['next'], shadow: true },
					{ name: 'away', url: away.url, roots: 'certs/ca.pem', shadow: true },
				],
			},
		},
	});
	const tried = async (agent: string): Promise<readonly [string, readonly Tried[] | undefined]> => {
		const outcome = await stage.outcome(agent);
		const record = stage.sallyport.records().findLast(({ type }) => type === 'decision');
		assert.deepEqual(Object.keys(record?.['bundles'] ?? {}), ['active'], 'who decided');
		return [outcome, record?.['shadow'] as readonly Tried[] | undefined];
	};
	const [allowed, denying] = await tried('a');
	assert.equal(allowed, '200');
	assert.deepEqual(
		denying?.map(({ bundle, verdict, cause }) => [bundle, verdict, cause]),
		[['next', 'deny', 'denied_by_rule']],
	);
	assert.match(denying?.[0]?.revision ?? '', /^[0-9a-f]{64}$/);
	const [, allowing] = await tried('b');
	assert.equal(allowing?.[0]?.verdict, 'allow');
	const metrics = await stage.sallyport.metrics();
	assert.match(metrics, /^sallyport_shadow_verdicts_total\{bundle="next",verdict="allow",shadow="deny"\} 1$/m);
	assert.match(metrics, /^sallyport_shadow_verdicts_total\{bundle="next",verdict="allow",shadow="allow"\} 1$/m);
	const shown = (await stage.policy()).bundles.find(({ name }) => name === 'next');
	assert.equal(shown?.shadow, true);
	assert.match((await stage.command('status')).out, /next {4}\w+ +since .*, only tried/);

	// It may fail, read what nobody read, or be no policy at all.
	const changes = async (rules: string, fits: (one: Tried | undefined) => boolean, what: string): Promise<void> => {
		workspace.write('next/request.rego', rules);
		await until(async () => {
			const [outcome, [one] = []] = await tried('b');
			assert.equal(outcome, '200', what);
			return fits(one);
		}, what);
	};
	await changes(
		rego('allow := sprintf("%s", [input.agent.path])'),
		one => one?.cause === 'policy_error' && /allow is of type string/.test(one.error ?? ''),
		'a malformed result',
	);
	await changes(rego('allow if input.http.body.x'), one => one?.verdict === 'undetermined', 'a body that nobody read');
	workspace.write('next/request.rego', 'package sallyport.request\n\nallow if {');
	await until(
		async () => (await stage.policy()).shadow_problems?.some(({ message }) => /unexpected/.test(message)),
		'it is said',
	);
	const [still] = await tried('a');
	assert.equal(still, '200');
	assert.equal((await stage.policy()).problems, undefined, 'the policy in force is as it should be');
	workspace.write('active/request.rego', rego('allow := false'));
	await until(async () => (await stage.outcome()) === 'no_rule', 'a change of the active one, beside a broken shadow');
});
