import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compile } from '../../src/policy/compile.ts';
import { findOpa } from '../../src/policy/opa.ts';
import { openPolicy } from '../../src/policy/source.ts';
import { clock, folder, policyConfig, theOpa } from './support.ts';

const request = (rego: string): string => `package sallyport.request\n\n${rego}\n`;
const deps = { clock, environment: process.env, watch: false };

async function open(t: TestContext, ...args: Parameters<typeof openPolicy>) {
	const policy = await openPolicy(...args);
	t.after(() => policy.close());
	return policy;
}

test('bundles come from folders and from archives, each for its agents', async t => {
	const root = await folder(t, {
		'platform/r.rego': request('allow if true'),
		'team/r.rego': request('allow if input.labels.team'),
	});
	const { archive } = await compile(await theOpa(), [join(root, 'team')], 'team-7');
	await writeFile(join(root, 'team.tar.gz'), archive);
	const bundles = [
		{ name: 'platform', files: [join(root, 'platform')] },
		{ name: 'team', path: join(root, 'team.tar.gz'), agents: ['spiffe://example.org/team/*'] },
	];
	const policy = await open(t, policyConfig({ bundles, keep: join(root, 'keep') }), deps);
	const judge = (id: string) => policy.current()?.forAgent(id)?.evaluate('request', '{}').verdict;
	assert.equal(judge('spiffe://example.org/a'), 'allow');
	assert.equal(judge('spiffe://example.org/team/a'), 'deny');
	assert.equal(judge('spiffe://example.org/team/a/b'), 'allow', 'a star is one segment');
	assert.deepEqual(
		policy.status().bundles.map(({ name, revision }) => [name, revision.length === 64 ? 'sha256' : revision]),
		[
			['platform', 'sha256'],
			['team', 'team-7'],
		],
	);
	assert.equal(policy.current()?.forAgent('spiffe://other.org/a')?.bundles.length, 1);
});

test('an agent to whom no bundle applies has no policy', async t => {
	const root = await folder(t, { 'r.rego': request('allow if true') });
	const bundles = [{ name: 'team', path: root, agents: ['spiffe://example.org/team/**'] }];
	const policy = await open(t, policyConfig({ bundles, keep: join(root, '.keep') }), deps);
	assert.notEqual(policy.current()?.forAgent('spiffe://example.org/team/a/b'), undefined);
	assert.equal(policy.current()?.forAgent('spiffe://example.org/a'), undefined);
});

test('contradictory configurations are refused', async t => {
	const keep = join(await folder(t), 'keep');
	await assert.rejects(openPolicy(policyConfig({ keep }), deps), /neither/);
	await assert.rejects(
		openPolicy(policyConfig({ keep, files: ['a'], bundles: [{ name: 'a', path: 'a' }] }), deps),
		/both/,
	);
	await assert.rejects(openPolicy(policyConfig({ keep, bundles: [{ name: 'a' }] }), deps), /needs either/);
	await assert.rejects(
		openPolicy(policyConfig({ keep, bundles: [{ name: 'a', path: 'a', files: ['b'] }] }), deps),
		/needs either/,
	);
	await assert.rejects(
		openPolicy(
			policyConfig({
				keep,
				bundles: [
					{ name: 'a', path: 'a' },
					{ name: 'a', path: 'b' },
				],
			}),
			deps,
		),
		/two bundles/,
	);
});

test('one bad bundle of several keeps all of them out', async t => {
	const root = await folder(t, { 'good/r.rego': request('allow if true'), 'bad/r.rego': request('allow if') });
	const bundles = [
		{ name: 'good', path: join(root, 'good') },
		{ name: 'bad', path: join(root, 'bad') },
	];
	const policy = await open(t, policyConfig({ bundles, keep: join(root, 'keep') }), deps);
	assert.equal(policy.current(), undefined);
	assert.match(policy.status().problems?.[0]?.file ?? '', /bad\/r\.rego$/);
});

test('compiled bundles need no opa, and without it that is said', async t => {
	const root = await folder(t, { 'p/r.rego': request('allow if true') });
	await writeFile(join(root, 'b.tar.gz'), (await compile(await theOpa(), [join(root, 'p')])).archive);
	const environment = { PATH: '/nowhere', HOME: root };
	const compiled = await open(
		t,
		policyConfig({ bundles: [{ name: 'a', path: join(root, 'b.tar.gz') }], keep: join(root, 'keep') }),
		{ clock, environment, watch: false },
	);
	assert.notEqual(compiled.current(), undefined);
	const sources = await open(t, policyConfig({ files: [join(root, 'p')], keep: join(root, 'keep') }), {
		clock,
		environment,
		watch: false,
	});
	assert.equal(sources.current(), undefined);
	assert.match(sources.status().problems?.[0]?.message ?? '', /opa executable is needed/);
});

test('the opa executable is looked for where the contract says, in its order', async t => {
	const { path } = await theOpa();
	const root = await folder(t);
	const fake = async (name: string, says: string): Promise<string> => {
		await writeFile(join(root, name), `#!/bin/sh\necho '${says}'\n`);
		await chmod(join(root, name), 0o755);
		return join(root, name);
	};
	const one = await fake('one', 'Version: 1.9.1');
	await fake('opa', 'Version: 1.8.0');
	const environment = { SALLYPORT_OPA: one, PATH: root, HOME: process.env['HOME'] };
	assert.equal((await findOpa(path, environment)).path, path);
	assert.equal((await findOpa(undefined, environment)).version, '1.9.1');
	assert.equal((await findOpa(undefined, { ...environment, SALLYPORT_OPA: '' })).version, '1.8.0');
	await assert.rejects(
		findOpa(undefined, { ...environment, SALLYPORT_OPA: join(root, 'nope') }),
		/no opa executable at/,
	);
	await assert.rejects(findOpa(await fake('old', 'Version: 0.70.0'), environment), /1\.0 or later/);
	await assert.rejects(findOpa(await fake('other', 'hello'), environment), /does not tell its version/);
	await assert.rejects(findOpa(undefined, { PATH: '/nowhere', HOME: root }), /SALLYPORT_OPA/);
});
