import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import { compile } from '../../src/policy/compile.ts';
import type { PolicyError } from '../../src/policy/problem.ts';
import { openPolicy } from '../../src/policy/source.ts';
import { testPolicy } from '../../src/policy/tester.ts';
import { clock, folder, MEMORY, policyConfig, theOpa, write } from './support.ts';

const GOOD =
	'package sallyport.request\n\nallow if input.listener\n\ndeny contains "no a" if startswith(input.http.path, "/a")\n';
const TYPO = GOOD.replace('http.path', 'http.pth');
const TESTS =
	'package t\n\nimport data.sallyport.request\n\ntest_allows if request.allow with input as {"listener": "egress"}\n';

const isTypo = (file: string) => (error: PolicyError) => {
	assert.deepEqual(error.problems, [{ message: 'undefined ref: input.http.pth', file, line: 5 }]);
	return true;
};

test('a reference that no input has is neither compiled nor tested', async t => {
	const root = await folder(t, { 'request.rego': TYPO, 'request_test.rego': TESTS });
	const opa = await theOpa();
	const file = join(root, 'request.rego');
	await assert.rejects(compile(opa, [root]), isTypo(file));
	await assert.rejects(testPolicy(opa, [root], { memory: MEMORY, builtins: BUILTINS, now: () => 0n }), isTypo(file));
});

test('such an edit leaves the old policy in force, at the start none is', { timeout: 20_000 }, async t => {
	const root = await folder(t, { 'p/request.rego': TYPO });
	const config = policyConfig({ files: [join(root, 'p')], keep: join(root, 'keep') });
	const policy = await openPolicy(config, { clock, environment: process.env, watch: false });
	t.after(() => policy.close());
	assert.equal(policy.current(), undefined);
	await write(root, { 'p/request.rego': GOOD });
	const taken = await policy.reload();
	assert.equal(taken.ok, true);
	await write(root, { 'p/request.rego': TYPO });
	const refused = await policy.reload();
	assert.deepEqual(refused, {
		ok: false,
		problems: [{ message: 'undefined ref: input.http.pth', file: join(root, 'p/request.rego'), line: 5 }],
	});
	const verdict = policy.current()?.forAgent('spiffe://example.org/a')?.evaluate('request', '{"http":{"path":"/a"}}');
	assert.equal(verdict?.cause, 'denied_by_rule');
});

test('packages of other systems have inputs of their own, and what they define can be called', async t => {
	const root = await folder(t, {
		'request.rego':
			`${GOOD}\nimport data.envoy.authz\n\ndeny contains "b" if authz.shown(input.http.path) == "/b"\n`.replace(
				/^([\s\S]*?\n)([\s\S]*)(import data.envoy.authz\n)/,
				'$1$3$2',
			),
		'envoy.rego':
			'package envoy.authz\n\nallow if input.attributes.request.http.method == "GET"\n\nshown(path) := path\n',
		'mask.rego': 'package system.log\n\nmask contains "/input/x" if input.input.secret\n',
		'noted.rego': '# METADATA\n# schemas:\n#   - input: schema.mine\npackage lib\n\nx if input.http.path\n',
	});
	await assert.doesNotReject(compile(await theOpa(), [root]));
	await write(root, { 'lib.rego': 'package lib.deeper\n\nx if input.attributes.request\n' });
	await assert.rejects(compile(await theOpa(), [root]), /lib\.rego:3: undefined ref: input\.attributes/);
});
