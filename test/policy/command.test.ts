import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { policyCommand } from '../../src/cli/policy.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { folder } from './support.ts';

const BIN = new URL('../../bin/sallyport', import.meta.url).pathname;

interface Ran {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** The command in this process: starting another for each case takes longer than all of them. */
async function sallyport(args: readonly string[]): Promise<Ran> {
	let stdout = '';
	let stderr = '';
	const terminal: Terminal = {
		out: text => {
			stdout += text;
		},
		err: text => {
			stderr += text;
		},
		person: false,
		paint: (_, text) => text,
	};
	const before = process.exitCode;
	try {
		await policyCommand(terminal).parseAsync([...args], { from: 'user' });
		return { status: Number(process.exitCode), stdout, stderr };
	} finally {
		process.exitCode = before;
	}
}

/** The executable itself. */
function spawned(args: readonly string[], input = ''): Promise<Ran> {
	const { promise, resolve } = Promise.withResolvers<Ran>();
	const child = spawn(BIN, ['policy', ...args], { stdio: 'pipe' });
	let stdout = '';
	let stderr = '';
	child.stdout.setEncoding('utf8').on('data', chunk => {
		stdout += chunk;
	});
	child.stderr.setEncoding('utf8').on('data', chunk => {
		stderr += chunk;
	});
	child.on('close', status => resolve({ status, stdout, stderr }));
	child.stdin.on('error', () => undefined);
	child.stdin.end(input);
	return promise;
}

const POLICY =
	'package sallyport.request\n\nallow if {\n\tsome prefix in input.agent.prefixes\n\tdata.grants[prefix][input.call.effect]\n}\n\ndeny contains {"msg": "no exports", "code": "export"} if startswith(input.http.path, "/export")\n';
const DATA = '{"grants":{"/agents":{"read":true}}}';
const INPUT = '{"phase":"request","agent":{"prefixes":["/agents"]},"call":{"effect":"read"},"http":{"path":"/a"}}';

test('check tells what a policy reads and costs', async t => {
	const root = await folder(t, { 'request.rego': POLICY, 'data.json': DATA });
	const plain = await sallyport(['check', root]);
	assert.equal(plain.status, 0, plain.stderr);
	assert.match(plain.stdout, /^ok {2}revision [0-9a-f]{64}\n/);
	assert.match(plain.stdout, /sallyport\.request {2}[\d.]+ us an evaluation/);
	assert.match(plain.stdout, /^ {2}input\.agent\.prefixes$/m);
	const json = await sallyport(['check', root, '--json']);
	const { ok, phases } = JSON.parse(json.stdout) as {
		ok: boolean;
		phases: { phase: string; reads: string[]; evaluation_us: number }[];
	};
	assert.equal(ok, true);
	assert.deepEqual(
		phases.map(({ phase, reads }) => [phase, reads]),
		[['request', ['agent.prefixes', 'call.effect', 'http.path']]],
	);
	assert.ok((phases[0]?.evaluation_us ?? 0) > 0);
});

test('check says of a policy that runs away that it was stopped', async t => {
	const rego = `package sallyport.request

allow if {
	xs := numbers.range(1, 3000)
	count([1 | some a in xs; some b in xs; a * b == -1]) == 0
}
`;
	const root = await folder(t, { 'request.rego': rego });
	const plain = await sallyport(['check', root]);
	assert.match(plain.stdout, /^ {2}stopped: default: it took more than the \d+ steps of policy\.fuel$/m, plain.stderr);
	const { phases } = JSON.parse((await sallyport(['check', root, '--json'])).stdout) as {
		phases: { error?: string }[];
	};
	assert.match(phases[0]?.error ?? '', /policy\.fuel/);
});

for (const [what, files, message] of [
	[
		'a reference that the input does not have',
		{ 'r.rego': 'package sallyport.request\n\nallow if input.http.methd == "GET"\n' },
		/r\.rego:3: undefined ref: input\.http\.methd/,
	],
	[
		'the same in a package of the author',
		{ 'r.rego': POLICY, 'lib.rego': 'package lib\n\nx if input.agent.name == "a"\n' },
		/lib\.rego:3: undefined ref: input\.agent\.name/,
	],
	[
		'an unused import',
		{ 'r.rego': `${POLICY}\n`, 'lib.rego': 'package lib\n\nimport data.foo\n\nx := 1\n' },
		/lib\.rego:3: import data\.foo unused/,
	],
	['an unknown rule', { 'r.rego': `${POLICY}\ndenny contains "x"\n` }, /r\.rego:10: unknown rule denny/],
	[
		'an unknown package',
		{ 'r.rego': POLICY, 's.rego': 'package sallyport.reqest\n\nallow if true\n' },
		/s\.rego:1: unknown package sallyport\.reqest/,
	],
	[
		'a deny that is no set',
		{ 'r.rego': 'package sallyport.request\n\nallow if true\n\ndeny := "no"\n' },
		/r\.rego:5: deny must be a set/,
	],
	[
		'an allow that is a set',
		{ 'r.rego': 'package sallyport.request\n\nallow contains "x"\n' },
		/r\.rego:3: allow must be a boolean/,
	],
	[
		'an allow that is a text',
		{
			'r.rego':
				'package sallyport.request\n\nallow if input.listener == "a"\n\nallow := "yes" if input.listener == "b"\n',
		},
		/r\.rego:5: allow must be a boolean, and not of type string/,
	],
	[
		'an allow that is always a text of the input',
		{ 'r.rego': 'package sallyport.request\n\nallow := input.agent.path\n' },
		/r\.rego: allow in sallyport\.request is never a boolean/,
	],
	[
		'a reason that is none',
		{ 'r.rego': `${POLICY}\ndeny contains 5 if input.listener\n` },
		/r\.rego:10: a reason is a string/,
	],
	[
		'data that is no YAML, by file and line',
		{ 'r.rego': POLICY, 'sub/data.yaml': 'grants:\n  a: [read\n  b: x: y\n' },
		/sub\/data\.yaml:\d: /,
	],
	[
		'data that is no JSON, by file and line',
		{ 'r.rego': POLICY, 'data.json': '{\n"grants": {\n' },
		/[^/]\/data\.json:\d: /,
	],
	[
		'a built-in that is not there',
		{ 'r.rego': 'package sallyport.request\n\nallow if rand.intn("x", 2) == 1\n' },
		/rand\.intn/,
	],
] as const) {
	test(`check finds ${what}`, async t => {
		const root = await folder(t, files);
		const { status, stdout, stderr } = await sallyport(['check', root]);
		assert.deepEqual([status, stdout], [1, '']);
		assert.match(stderr, message);
	});
}

test('check leaves the inputs of other systems alone', async t => {
	const root = await folder(t, {
		'r.rego': POLICY,
		'mask.rego': 'package system.log\n\nmask contains "/input/x" if input.input.secret\n',
		'envoy.rego': 'package envoy.authz\n\nallow if input.attributes.request.http.method == "GET"\n',
	});
	const { status, stderr } = await sallyport(['check', root]);
	assert.equal(status, 0, stderr);
});

test('test runs in opa and in the engine, and fails where a test fails or they differ', async t => {
	const tests =
		'package t\n\nimport data.sallyport.request\n\ntest_allows if request.allow with input as {"agent": {"prefixes": ["/agents"]}, "call": {"effect": "read"}}\n\ntest_denies if count(request.deny) == 1 with input as {"http": {"path": "/export/x"}}\n\ntodo_test_later if false\n\ntest_cases[name] if {\n\tsome name, path in {"one": "/export", "two": "/exports"}\n\tcount(request.deny) == 1 with input as {"http": {"path": path}}\n}\n';
	const root = await folder(t, { 'request.rego': POLICY, 'data.json': DATA, 'request_test.rego': tests });
	const good = await sallyport(['test', root]);
	assert.equal(good.status, 0, good.stdout + good.stderr);
	assert.match(good.stdout, /3 of 4 tests passed in opa and in the engine/);
	assert.match(good.stdout, /skip.*todo_test_later/);

	const bad = await folder(t, {
		'request.rego': POLICY,
		'b_test.rego': `package b\n\ntest_fails if data.sallyport.request.allow\n`,
	});
	const failing = await sallyport(['test', bad]);
	assert.equal(failing.status, 1);
	assert.match(failing.stdout, /fail {2}.*b_test\.rego:3: data\.b\.test_fails/);

	// `opa` has a random number, we do not.
	const differing = await folder(t, {
		'request.rego': POLICY,
		'b_test.rego': 'package b\n\ntest_random if rand.intn("x", 1) == 0\n',
	});
	const differs = await sallyport(['test', differing, '--json']);
	assert.equal(differs.status, 1);
	const { ok, tests: results } = JSON.parse(differs.stdout) as {
		ok: boolean;
		tests: { name: string; opa: string; engine: string; detail: string }[];
	};
	assert.equal(ok, false);
	assert.deepEqual(
		results.map(({ name, opa, engine }) => [name, opa, engine]),
		[['data.b.test_random', 'pass', 'error']],
	);
	assert.match(results[0]?.detail ?? '', /rand\.intn cannot be evaluated here/);
});

test('build makes a bundle that eval judges with', async t => {
	const root = await folder(t, { 'p/request.rego': POLICY, 'p/data.json': DATA, 'input.json': INPUT });
	const bundle = join(root, 'b.tar.gz');
	const built = await sallyport(['build', join(root, 'p'), '-o', bundle, '--revision', 'v1', '--json']);
	assert.equal(built.status, 0, built.stderr);
	assert.equal((JSON.parse(built.stdout) as { revision: string }).revision, 'v1');
	const evaluated = await sallyport(['eval', bundle, '--input', join(root, 'input.json'), '--json']);
	assert.equal(evaluated.status, 0);
	const { evaluation_us: micros, ...rest } = JSON.parse(evaluated.stdout) as Record<string, unknown>;
	assert.equal(typeof micros, 'number');
	assert.deepEqual(rest, {
		phase: 'request',
		verdict: 'allow',
		reasons: [],
		result: { allow: true, deny: [], ask: [] },
		revision: 'v1',
	});

	const denied = await spawned(['eval', join(root, 'p'), '--input', '-'], INPUT.replace('"/a"', '"/export"'));
	assert.equal(denied.status, 0, 'a verdict is an answer');
	assert.match(denied.stdout, /^deny {2}denied_by_rule {2}\(request, \d+ us\)\n {2}no exports \[export\]\n$/);
	const phase = await sallyport(['eval', bundle, '--input', join(root, 'input.json'), '--phase', 'connect']);
	assert.match(phase.stdout, /^deny {2}phase_undefined/);
});

test('mistakes of the caller end with 2, failures of the policy with 1', async t => {
	const root = await folder(t, {
		'r.rego': POLICY,
		'bad/r.rego': 'package sallyport.request\n\nallow := 1 if input.listener\n',
		'broken.tar.gz': 'x',
		'x.json': '{"listener":"x"}',
		'twice.json': '{"a":1,"a":2}',
		'list.json': '[]',
		'empty.json': '',
	});
	const at = (name: string): string => join(root, name);
	for (const [args, status, message] of [
		[['check', at('nope')], 2, /nope: cannot be read: there is no such file.*\n.*go to where/],
		[['check', at('broken.tar.gz')], 2, /compiled bundle/],
		[['eval', root, '--input', at('nope.json')], 2, /ENOENT/],
		[['eval', root, '--input', at('twice.json')], 2, /duplicate_key at byte 7/],
		[['eval', root, '--input', at('list.json')], 2, /not a JSON object/],
		[['eval', root, '--input', at('empty.json')], 2, /is empty: the input of a call is wanted/],
		[['eval', at('broken.tar.gz'), at('other.tar.gz'), '--input', at('x.json')], 1, /one compiled bundle at a time/],
		[['test', root], 2, /no tests/],
		[['eval', at('broken.tar.gz'), '--input', at('x.json')], 1, /not a policy bundle/],
		[['eval', at('bad'), '--input', at('x.json')], 1, /policy_error/],
		[['check', root, '--opa', at('nope')], 1, /no opa executable/],
	] as const) {
		const ran = await sallyport(args);
		assert.equal(ran.status, status, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
		assert.match(ran.stdout + ran.stderr, message);
	}
});

test('wrong usage of the executable ends with 2', async () => {
	for (const [args, message] of [
		[['eval', 'x'], /--input/],
		[['eval', 'x', '--input', '-', '--phase', 'x'], /Expected connect/],
		[['check', 'x', '--memory', 'x'], /Expected a size/],
		[['frobnicate'], /unknown command/],
	] as const) {
		const ran = await spawned(args);
		assert.equal(ran.status, 2, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
		assert.match(ran.stderr, message);
	}
});

test('help has an example for each', () => {
	for (const command of policyCommand().commands) {
		let help = '';
		command
			.configureOutput({
				writeOut: text => {
					help += text;
				},
			})
			.outputHelp();
		assert.match(help, new RegExp(`Examples?:\\n {2}sallyport policy ${command.name()}`));
	}
});
