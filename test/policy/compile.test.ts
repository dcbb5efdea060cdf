import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compile } from '../../src/policy/compile.ts';
import { PolicyError, type Problem } from '../../src/policy/problem.ts';
import { agentPolicy } from '../../src/policy/set.ts';
import { folder, loaded, theOpa } from './support.ts';

async function problemsIn(t: TestContext, files: Readonly<Record<string, string>>): Promise<readonly Problem[]> {
	const root = await folder(t, files);
	try {
		await compile(await theOpa(), [root]);
	} catch (error) {
		assert.ok(error instanceof PolicyError, String(error));
		return error.problems.map(({ file, ...rest }) =>
			file === undefined ? rest : { ...rest, file: file.replace(`${root}/`, '') },
		);
	}
	return assert.fail('it compiles');
}

const REQUEST = 'package sallyport.request\n\nallow if true\n';

test('errors of syntax come with file and line', async t => {
	const [first] = await problemsIn(t, { 'a/request.rego': REQUEST, 'a/b.rego': 'package b\n\nx := 1 +\n' });
	assert.equal(first?.file, 'a/b.rego');
	assert.equal(first?.line, 4);
});

test('errors of compilation come with file and line', async t => {
	const problems = await problemsIn(t, {
		'request.rego': 'package sallyport.request\n\nallow if x\n\ndeny contains y if true\n',
	});
	assert.ok(problems.length > 0);
	for (const { file, line, message } of problems) {
		assert.equal(file, 'request.rego');
		assert.match(`${line}: ${message}`, /^(3: var x|5: var y) is unsafe$/);
	}
});

test('an error in data names its file', async t => {
	const problems = await problemsIn(t, { 'request.rego': REQUEST, 'grants/data.json': '{"a": }' });
	assert.match(problems.map(({ file, message }) => `${file} ${message}`).join('\n'), /grants\/data\.json/);
});

for (const [what, files, file, line, message] of [
	['an unknown rule', { 'r.rego': `${REQUEST}\ndenny contains "x"\n` }, 'r.rego', 5, /unknown rule denny/],
	[
		'a rule that is a function',
		{ 'r.rego': 'package sallyport.request\n\nallow(x) if x\n' },
		'r.rego',
		3,
		/must not be a function/,
	],
	[
		'an unknown package',
		{ 'r.rego': REQUEST, 'q.rego': '# a\npackage sallyport.requests\n' },
		'q.rego',
		2,
		/unknown package sallyport\.requests/,
	],
	[
		'a package below a known one',
		{ 'r.rego': REQUEST, 'q.rego': 'package sallyport.request.lib\n' },
		'q.rego',
		1,
		/unknown package/,
	],
	[
		'the package of the contract',
		{ 'r.rego': REQUEST, 'q.rego': 'package sallyport.contract.request\n\nverdict := 1\n' },
		'q.rego',
		1,
		/unknown package/,
	],
	[
		'rules in sallyport itself',
		{ 'r.rego': REQUEST, 'q.rego': 'package sallyport\n\nrequest.allow := true\n' },
		'q.rego',
		1,
		/unknown package sallyport/,
	],
] as const) {
	test(`${what} is refused`, async t => {
		const [first] = await problemsIn(t, files);
		assert.deepEqual([first?.file, first?.line], [file, line]);
		assert.match(first?.message ?? '', message);
	});
}

for (const [what, files] of [
	['a folder', { 'r.rego': 'package sallyport.request\n', 'sallyport/request/data.json': '{"allow": true}' }],
	[
		'the root',
		{
			'r.rego': 'package sallyport.connect\n\nallow if false\n',
			'data.json': '{"sallyport": {"request": {"allow": true}}}',
		},
	],
	[
		'YAML',
		{
			'r.rego': 'package sallyport.connect\n\nallow if false\n',
			'data.yaml': 'sallyport:\n  request:\n    allow: true\n',
		},
	],
] as const) {
	test(`data that would allow is refused: under sallyport by ${what}`, async t => {
		const problems = await problemsIn(t, files);
		assert.match(JSON.stringify(problems), /data under `sallyport`|conflict/);
	});
}

test('a policy that judges nothing is refused', async t => {
	assert.match(JSON.stringify(await problemsIn(t, { 'a.rego': 'package a\n\nx := 1\n' })), /judges/);
	assert.match(JSON.stringify(await problemsIn(t, { 'a_test.rego': REQUEST })), /no Rego/);
	assert.match(JSON.stringify(await problemsIn(t, { 'data.json': '{}' })), /no Rego/);
});

test('helpers begin with an underscore or stand in a package of their own', async t => {
	const policy = agentPolicy([
		await loaded(t, {
			'request.rego':
				'package sallyport.request\n\nimport data.lib\n\nallow if {\n\t_is_reader\n\tlib.works(input.hour)\n}\n\n_is_reader if input.role == "reader"\n',
			'lib/lib.rego': 'package lib\n\nworks(hour) if hour < 18\n',
		}),
	]);
	assert.equal(policy.evaluate('request', '{"role":"reader","hour":9}').verdict, 'allow');
	assert.equal(policy.evaluate('request', '{"role":"reader","hour":19}').cause, 'no_rule');
	assert.deepEqual(policy.reads('request').paths, ['hour', 'role']);
});

test('tests and names that begin with a dot are left out, data lies by its folder, YAML is read', async t => {
	const bundle = await loaded(t, {
		'request.rego':
			'package sallyport.request\n\nallow if data.a.b.c == input.x\n\nallow if data.y.z == input.x\n\ndeny contains "t" if data.t.x\n',
		'request_test.rego': 'package t\n\nx := 1\n',
		'.hidden/r.rego': 'package sallyport.request\n\nallow if true\n',
		'a/b/data.json': '{"c": 9007199254740993}',
		'y/data.yaml': 'z: [1, 2]\n',
		'a/other.json': '{"c": 2}',
	});
	const policy = agentPolicy([bundle]);
	assert.equal(policy.evaluate('request', '{"x":9007199254740993}').verdict, 'allow');
	assert.equal(policy.evaluate('request', '{"x":9007199254740992}').cause, 'no_rule');
	assert.equal(policy.evaluate('request', '{"x":[1,2]}').verdict, 'allow');
});

test('the revision is made from Rego and data, and nothing else', async t => {
	const opa = await theOpa();
	const revision = async (files: Readonly<Record<string, string>>): Promise<string> =>
		(await compile(opa, [await folder(t, files)])).revision;
	const base = await revision({ 'r.rego': REQUEST, 'data.json': '{"a":1}' });
	assert.match(base, /^[0-9a-f]{64}$/);
	assert.equal(
		await revision({ 'r.rego': REQUEST, 'data.json': '{"a":1}', 'r_test.rego': 'package t\n', 'README.md': 'x' }),
		base,
	);
	assert.notEqual(await revision({ 'r.rego': REQUEST, 'data.json': '{"a":2}' }), base);
	assert.notEqual(await revision({ 'r.rego': `${REQUEST}\n`, 'data.json': '{"a":1}' }), base);
	assert.equal((await compile(opa, [await folder(t, { 'r.rego': REQUEST })], 'v7')).revision, 'v7');
});

test('several roots are one bundle; data for one folder stands in one file', async t => {
	const root = await folder(t, {
		'a/r.rego': 'package sallyport.request\n\nallow if data.x.a == 1\n\nallow if data.y.b == 2\n',
		'a/x/data.json': '{"a":1}',
		'b/y/data.json': '{"b":2}',
		'b/r.rego': 'package sallyport.connect\n\nallow if data.x.a == 1\n',
		'c/x/data.json': '{"b":2}',
	});
	const opa = await theOpa();
	const bundle = await compile(opa, [join(root, 'a'), join(root, 'b')]);
	assert.deepEqual([...bundle.packages.keys()], ['connect', 'request']);
	assert.deepEqual(JSON.parse(bundle.data.toString()), { x: { a: 1 }, y: { b: 2 } });
	await assert.rejects(compile(opa, [join(root, 'a'), join(root, 'c')]), /data for the same folder/);
	const single = await compile(opa, [join(root, 'b/r.rego')]);
	assert.deepEqual([...single.packages.keys()], ['connect']);
});

test('built-ins that cannot be evaluated here refuse the bundle, by name', async t => {
	await assert.rejects(
		loaded(t, {
			'r.rego':
				'package sallyport.request\n\nallow if http.send({"url": input.x, "method": "GET"}).status_code == 200\n\nallow if net.lookup_ip_addr(input.x) != set()\n\nallow if rand.intn("a", 3) == input.x\n',
		}),
		/http\.send, net\.lookup_ip_addr, rand\.intn/,
	);
});
