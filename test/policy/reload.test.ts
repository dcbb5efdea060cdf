import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { PolicySet } from '../../src/model/ports.ts';
import type { Problem } from '../../src/policy/problem.ts';
import { type OpenPolicy, openPolicy } from '../../src/policy/source.ts';
import { clock, folder, policyConfig, write } from './support.ts';

const ALLOW = 'package sallyport.request\n\nallow if input.listener\n';
const DENY = 'package sallyport.request\n\nallow if input.labels.never\n';
const AGENT = 'spiffe://example.org/a';

interface Opened {
	readonly policy: OpenPolicy;
	readonly root: string;
	/** The next activation or failure from now on, and how long it took, milliseconds. */
	next(): Promise<{ readonly problems?: readonly Problem[]; readonly took: number }>;
	cause(): string | undefined;
}

async function open(t: TestContext, root: string, paths: readonly string[]): Promise<Opened> {
	const waiting: ((problems: readonly Problem[] | undefined) => void)[] = [];
	const tell = (problems?: readonly Problem[]): void => {
		for (const resolve of waiting.splice(0)) resolve(problems);
	};
	const config = policyConfig({ files: [...paths], keep: join(root, 'keep') });
	const policy = await openPolicy(config, {
		clock,
		environment: process.env,
		events: { activated: () => tell(), failed: tell },
	});
	t.after(() => policy.close());
	return {
		policy,
		root,
		next: () => {
			const { promise, resolve } = Promise.withResolvers<{ problems?: readonly Problem[]; took: number }>();
			const start = performance.now();
			waiting.push(problems =>
				resolve({ ...(problems === undefined ? {} : { problems }), took: performance.now() - start }),
			);
			return promise;
		},
		cause: () => {
			const verdict = policy.current()?.forAgent(AGENT)?.evaluate('request', '{"listener":"egress"}');
			return verdict === undefined ? 'policy_missing' : verdict.cause;
		},
	};
}

test('a good edit is live within a second, a bad one keeps the old and says why', { timeout: 20_000 }, async t => {
	const root = await folder(t, { 'p/request.rego': ALLOW });
	const { policy, next, cause } = await open(t, root, [join(root, 'p')]);
	const changes: PolicySet[] = [];
	policy.onChange(set => changes.push(set));
	assert.equal(cause(), undefined);
	const before = policy.current();

	let change = next();
	await write(root, { 'p/request.rego': DENY });
	assert.ok((await change).took < 5000);
	assert.equal(cause(), 'no_rule');
	assert.notEqual(policy.current()?.revision, before?.revision);
	assert.deepEqual(changes, [policy.current()]);

	change = next();
	await write(root, { 'p/request.rego': 'package sallyport.request\n\nallow if {\n' });
	const { problems } = await change;
	assert.equal(problems?.[0]?.file, join(root, 'p/request.rego'));
	assert.ok((problems?.[0]?.line ?? 0) >= 3);
	assert.equal(cause(), 'no_rule', 'the old one is still in force');
	assert.deepEqual(policy.status().problems, problems);
	assert.equal(changes.length, 1);

	change = next();
	await write(root, { 'p/request.rego': ALLOW });
	assert.equal((await change).problems, undefined);
	assert.equal(cause(), undefined);
	assert.equal(policy.status().problems, undefined);
	assert.equal(policy.current()?.revision, before?.revision, 'the same sources have the same revision');
});

test('files that appear, go away, or lie deeper are seen', { timeout: 20_000 }, async t => {
	const root = await folder(t, { 'p/request.rego': ALLOW });
	const { next, cause } = await open(t, root, [join(root, 'p')]);
	let change = next();
	await mkdir(join(root, 'p/deep'));
	await write(root, { 'p/deep/deny.rego': 'package sallyport.request\n\ndeny contains "x"\n' });
	await change;
	assert.equal(cause(), 'denied_by_rule');
	change = next();
	await rm(join(root, 'p/deep/deny.rego'));
	await change;
	assert.equal(cause(), undefined);
});

test('a mounted ConfigMap that is swapped behind ..data is seen', { timeout: 20_000 }, async t => {
	const root = await folder(t, { 'm/..1/request.rego': ALLOW });
	const mount = join(root, 'm');
	await symlink('..1', join(mount, '..data'));
	await symlink('..data/request.rego', join(mount, 'request.rego'));
	const { next, cause } = await open(t, root, [mount]);
	assert.equal(cause(), undefined);
	const change = next();
	await write(root, { 'm/..2/request.rego': DENY });
	await symlink('..2', join(mount, '..data_tmp'));
	await rename(join(mount, '..data_tmp'), join(mount, '..data'));
	assert.ok((await change).took < 5000);
	assert.equal(cause(), 'no_rule');
});

test('a symbolic link that is turned to another folder is seen', { timeout: 20_000 }, async t => {
	const root = await folder(t, { 'releases/1/request.rego': ALLOW, 'releases/2/request.rego': DENY });
	await symlink('releases/1', join(root, 'current'));
	const { next, cause } = await open(t, root, [join(root, 'current')]);
	assert.equal(cause(), undefined);
	const change = next();
	await symlink('releases/2', join(root, 'current.new'));
	await rename(join(root, 'current.new'), join(root, 'current'));
	assert.ok((await change).took < 5000);
	assert.equal(cause(), 'no_rule');
});

test('without a policy at the start nothing is in force, and it is taken when it comes', {
	timeout: 20_000,
}, async t => {
	const root = await folder(t);
	const { policy, next, cause } = await open(t, root, [join(root, 'p')]);
	assert.equal(policy.current(), undefined);
	assert.equal(cause(), 'policy_missing');
	assert.match(policy.status().problems?.[0]?.message ?? '', /ENOENT/);
	// The folder may be seen before the file is in it: then there is one more failure first.
	let change = next();
	await write(root, { 'p/request.rego': ALLOW });
	while ((await change).problems !== undefined) change = next();
	assert.equal(cause(), undefined);
});

test('a reload that was asked for sees what was written before it, and is quiet about what is in force', {
	timeout: 20_000,
}, async t => {
	const root = await folder(t, { 'p/request.rego': ALLOW });
	const { policy, cause } = await open(t, root, [join(root, 'p')]);
	assert.deepEqual(await policy.reload(), { ok: true, revision: policy.current()?.revision, changed: false });
	const running = policy.reload();
	await write(root, { 'p/request.rego': DENY });
	await Promise.all([running, policy.reload(), policy.reload()]);
	assert.equal(cause(), 'no_rule');
});

test('every activated bundle is kept, and what no record names is removed', { timeout: 20_000 }, async t => {
	const root = await folder(t, { 'p/request.rego': ALLOW });
	const { policy, next } = await open(t, root, [join(root, 'p')]);
	const first = policy.current()?.bundles[0]?.revision;
	const change = next();
	await write(root, { 'p/request.rego': DENY });
	await change;
	const second = policy.current()?.bundles[0]?.revision;
	const kept = async (): Promise<readonly string[]> => (await readdir(join(root, 'keep'))).sort();
	assert.deepEqual(await kept(), [`default-${first}.tar.gz`, `default-${second}.tar.gz`].sort());

	// A kept bundle judges as it did.
	const again = await open(t, await folder(t), [join(root, 'keep', `default-${first}.tar.gz`)]);
	assert.equal(again.cause(), undefined);
	assert.equal(again.policy.current()?.bundles[0]?.revision, first);

	assert.deepEqual(await policy.prune(Date.now()), [], 'what was in force until lately may be named by a record');
	await writeFile(join(root, 'keep/notes.txt'), 'not ours');
	assert.deepEqual(await policy.prune(Date.now() + 48 * 3600_000), [`default-${first}.tar.gz`]);
	assert.deepEqual(await kept(), [`default-${second}.tar.gz`, 'notes.txt'].sort());
});

test('a bundle that cannot be kept is not activated', { timeout: 20_000 }, async t => {
	const root = await folder(t, { 'p/request.rego': ALLOW, keep: 'a file where the folder should be' });
	const { policy, cause } = await open(t, root, [join(root, 'p')]);
	assert.equal(cause(), 'policy_missing');
	assert.match(policy.status().problems?.[0]?.message ?? '', /cannot be kept/);
});
