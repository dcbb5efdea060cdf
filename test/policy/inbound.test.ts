import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { policyCommand } from '../../src/cli/policy.ts';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import { readBundle } from '../../src/policy/bundle.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { compile } from '../../src/policy/compile.ts';
import { agentPolicy, loadBundle } from '../../src/policy/set.ts';
import { folder, loaded, MEMORY, theOpa, write } from './support.ts';

const SCHEMA = new URL('../../policies/input.schema.json', import.meta.url).pathname;
const FILES = {
	'in.rego': 'package sallyport.inbound.request\n\nallow if input.target.agent == "b"\n',
	'out.rego': 'package sallyport.request\n\nallow if input.http.body.x == 1\n',
};

test('inbound packages are packages of their own: what is read, what is defined, what is said', async t => {
	const policy = agentPolicy([await loaded(t, FILES)]);
	assert.deepEqual(policy.reads('inbound/request').paths, ['target.agent']);
	assert.deepEqual(policy.reads('request').paths, ['http.body.x']);
	assert.equal(policy.evaluate('inbound/request', '{"target":{"agent":"b"}}').verdict, 'allow');
	assert.equal(policy.evaluate('request', '{"target":{"agent":"b"}}').cause, 'no_rule');
	assert.equal(policy.evaluate('inbound/request', '{"http":{"body":{"x":1}}}').cause, 'no_rule');
	assert.equal(policy.evaluate('inbound/connect', '{}').cause, 'phase_undefined');
	assert.equal(policy.defines('inbound/response'), false);
	assert.equal(policy.evaluate('inbound/response', '{}').verdict, 'allow', 'an answer that nobody judges passes');
});

test('every row of the verdict table holds for them', async t => {
	const policy = agentPolicy([
		await loaded(t, {
			'in.rego': [
				'package sallyport.inbound.connect',
				'allow if input.a',
				'deny contains "no" if input.d',
				'ask contains "may I" if input.q',
				'allow := 1 if input.odd',
			].join('\n\n'),
		}),
	]);
	for (const [input, cause] of [
		['{"a":true}', undefined],
		['{"a":true,"d":true}', 'denied_by_rule'],
		['{}', 'no_rule'],
		['{"a":true,"q":true}', 'approval_required'],
		['{"odd":true}', 'policy_error'],
	] as const)
		assert.equal(policy.evaluate('inbound/connect', input).cause, cause, input);
});

test('`policy check` finds in them what it finds in the others', async t => {
	const opa = await theOpa();
	const options = { memory: MEMORY, builtins: BUILTINS, schema: SCHEMA };
	const good = await checkPolicy(opa, [await folder(t, FILES)], options);
	assert.deepEqual(
		good.packages.map(({ path, reads }) => [path, reads]),
		[
			['request', ['http.body.x']],
			['inbound/request', ['target.agent']],
		],
	);
	for (const [rego, says] of [
		[
			'package sallyport.inbound.request\n\nallowed if input.agent.id == "a"\n',
			/unknown rule allowed in sallyport\.inbound\.request/,
		],
		['package sallyport.inbound.request\n\nallow contains "x" if input.agent.id == "a"\n', /allow must be a boolean/],
		['package sallyport.inbound.request\n\nallow if input.target.agnet == "a"\n', /agnet/],
		['package sallyport.inbound.judge\n\nallow := true\n', /unknown package sallyport\.inbound\.judge/],
		['package sallyport.inbound\n\nallow := true\n', /unknown package sallyport\.inbound:/],
		['package sallyport.inbound.request.more\n\nallow := true\n', /unknown package/],
	] as const)
		await assert.rejects(checkPolicy(opa, [await folder(t, { 'a.rego': rego })], options), says, rego);
});

test('a bundle of plain `opa build` has them by their entry points, and ours by its manifest', async t => {
	const opa = await theOpa();
	const root = await folder(t, { 'policies/in.rego': FILES['in.rego'] });
	await opa.run(['build', '-b', 'policies', '-t', 'wasm', '-e', 'sallyport/inbound/request', '-o', 'plain.tar.gz'], {
		cwd: root,
	});
	const plain = await readBundle(await readFile(`${root}/plain.tar.gz`), 'plain');
	assert.deepEqual([...plain.packages.keys()], ['inbound/request']);
	const options = { memory: MEMORY, builtins: BUILTINS };
	const policy = agentPolicy([await loadBundle('plain', plain, 'plain', options)]);
	assert.equal(policy.reads('inbound/request').paths, undefined, 'what it reads is not known');
	assert.equal(policy.evaluate('inbound/request', '{"target":{"agent":"b"}}').verdict, 'allow');

	const ours = await compile(opa, [`${root}/policies`]);
	const again = await readBundle(ours.archive, 'ours');
	assert.deepEqual(again.packages.get('inbound/request')?.reads, [['target', 'agent']]);
});

test('`policy eval` asks what the input is for', async t => {
	const root = await folder(t);
	await write(root, {
		'policies/in.rego': FILES['in.rego'],
		'call.json': '{"direction":"inbound","target":{"agent":"b"}}',
	});
	const evaluated = async (...more: string[]): Promise<Record<string, unknown>> => {
		let out = '';
		const terminal = {
			out: (text: string) => (out += text),
			err: () => {},
			person: false,
			paint: (_: unknown, text: string) => text,
		};
		await policyCommand(terminal).parseAsync(
			['eval', `${root}/policies`, '--input', `${root}/call.json`, '--json', ...more],
			{ from: 'user' },
		);
		return JSON.parse(out) as Record<string, unknown>;
	};
	const asked = await evaluated();
	assert.deepEqual([asked['phase'], asked['verdict']], ['inbound/request', 'allow']);
	const other = await evaluated('--phase', 'request');
	assert.deepEqual([other['phase'], other['cause']], ['request', 'phase_undefined']);
});
