import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sallyport } from '../cli/run.ts';
import { folder } from './support.ts';

const STARTER = fileURLToPath(new URL('../../policies', import.meta.url));
const id = (name: string): string => `spiffe://example.org/agents/${name}`;

interface Answer {
	readonly asked: number;
	readonly agents: readonly { readonly agent: string; readonly verdict: string; readonly cause?: string }[];
}

test('who-can asks the policy for every agent that its data names, or that a file does', {
	timeout: 60_000,
}, async t => {
	const cwd = await folder(t, {
		agents: `# ours\n${id('clerk')}\n\n${id('stranger')}\n`,
		'sql.json': '{"sql": {"dialect": "postgres", "database": "orders", "user": "reader"}}',
		'fails/request.rego': 'package sallyport.request\n\nallow := input.agent.id\n',
	});
	const run = async (...words: readonly string[]) => await sallyport(['policy', 'who-can', ...words], { cwd });
	const asked = async (...words: readonly string[]): Promise<readonly (readonly [string, string])[]> => {
		const { code, out, err } = await run(STARTER, '--json', ...words);
		assert.equal(code, 0, err);
		return (JSON.parse(out) as Answer).agents.map(({ agent, verdict }) => [agent, verdict] as const);
	};
	assert.deepEqual(await asked('--target', 'crm', '--effect', 'write'), [[id('clerk'), 'allow']]);
	assert.deepEqual(await asked('--target', 'crm', '--effect', 'read'), [
		[id('clerk'), 'allow'],
		[id('researcher'), 'allow'],
	]);
	assert.deepEqual(await asked('--target', 'crm', '--effect', 'write', '--path', '/refunds/7'), [[id('clerk'), 'ask']]);
	assert.deepEqual(await asked('--target', 'crm', '--effect', 'read', '--path', '/export'), [], 'a deny for all');
	assert.deepEqual(await asked('--target', 'api.example.org:443', '--protocol', 'tunnel', '--effect', 'unknown'), [
		[id('researcher'), 'allow'],
	]);
	assert.deepEqual(await asked('--target', 'orders', '--protocol', 'postgres', '--input', 'sql.json'), [
		[id('researcher'), 'allow'],
	]);
	assert.deepEqual(await asked('--target', 'crm', '--agents', 'agents', '--all'), [
		[id('clerk'), 'allow'],
		[id('stranger'), 'deny'],
	]);
	const { out } = await run(STARTER, '--target', 'crm', '--effect', 'write', '--agents', 'agents', '--all');
	assert.match(
		out,
		/^allow {2}spiffe:\/\/example\.org\/agents\/clerk *\ndeny {3}.*stranger {2}no_rule\n1 of 2 agents\n$/,
	);
	assert.match(
		(await run(STARTER, '--target', 'cmr')).out,
		/^nobody of \d+ agents; neither the policy nor its data names cmr\n$/,
	);
	assert.match(
		(await run(STARTER, '--target', 'crm', '--effect', 'read', '--path', '/export')).out,
		/^nobody of \d+ agents\n$/,
	);
	const nobody = await run('fails', '--target', 'crm');
	assert.equal(nobody.code, 2);
	assert.match(nobody.err, /names no agents .* say --agents/);
	const fails = await run('fails', '--target', 'crm', '--agents', 'agents');
	assert.equal(fails.code, 1);
	assert.match(fails.out, /policy_error · default: allow is of type string/);
});
