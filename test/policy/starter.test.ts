import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { POLICY_PATHS } from '../../src/model/call.ts';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import { checkPolicy, sampleInput } from '../../src/policy/check.ts';
import { compile } from '../../src/policy/compile.ts';
import { agentPolicy, loadBundle } from '../../src/policy/set.ts';
import { testPolicy } from '../../src/policy/tester.ts';
import { folder, loaded, MEMORY, theOpa } from './support.ts';

const POLICIES = new URL('../../policies', import.meta.url).pathname;
const SCHEMA = `${POLICIES}/input.schema.json`;
const options = { memory: MEMORY, builtins: BUILTINS };

interface Schema {
	readonly type?: string;
	readonly description?: string;
	readonly properties?: Readonly<Record<string, Schema>>;
	readonly additionalProperties?: boolean | Schema;
	readonly items?: Schema;
	readonly enum?: readonly string[];
}

const schema = async (): Promise<Schema> => JSON.parse(await readFile(SCHEMA, 'utf8')) as Schema;

test('the starter policies pass their own check and their tests in both engines', async () => {
	const opa = await theOpa();
	const checked = await checkPolicy(opa, [POLICIES], { ...options, schema: SCHEMA });
	assert.deepEqual(
		checked.packages.map(({ path }) => path),
		['connect', 'request', 'inbound/request'],
	);
	const tested = await testPolicy(opa, [POLICIES], { ...options, now: () => 0n });
	assert.ok(tested.results.length >= 20);
	assert.deepEqual(
		tested.results.filter(({ opa: one, engine }) => one !== 'pass' || engine !== 'pass'),
		[],
	);
});

test('the starter grants allow and refuse through the whole of the engine', async () => {
	const policy = agentPolicy([
		await loadBundle('default', await compile(await theOpa(), [POLICIES]), POLICIES, options),
	]);
	assert.equal(policy.evaluate('request', JSON.stringify(sampleInput('request'))).verdict, 'allow');
	assert.equal(policy.evaluate('connect', JSON.stringify(sampleInput('connect'))).verdict, 'allow');
	assert.equal(policy.evaluate('inbound/request', JSON.stringify(sampleInput('inbound/request'))).verdict, 'allow');
	assert.equal(policy.evaluate('inbound/request', '{}').cause, 'no_rule');
	const stranger = { ...sampleInput('request'), agent: { prefixes: ['/agents', '/agents/stranger'] } };
	assert.equal(policy.evaluate('request', JSON.stringify(stranger)).cause, 'no_rule');
	assert.equal(policy.evaluate('request', '{}').cause, 'no_rule');
	assert.equal(policy.evaluate('connect', '{}').cause, 'no_rule');
});

test('the schema has every key of the contract, each with a description and no room for others', async () => {
	const { properties } = await schema();
	const keys = (name: string): readonly string[] => Object.keys(properties?.[name]?.properties ?? {}).sort();
	assert.deepEqual(Object.keys(properties ?? {}).sort(), [
		'agent',
		'call',
		'direction',
		'grpc',
		'http',
		'labels',
		'listener',
		'mcp',
		'mission',
		'phase',
		'redis',
		'sql',
		'target',
		'time',
	]);
	assert.deepEqual(keys('agent'), ['authentication', 'id', 'path', 'prefixes', 'segments', 'trust_domain']);
	assert.deepEqual(keys('target'), ['address', 'agent', 'host', 'name', 'port', 'protocol', 'sni', 'tls']);
	assert.deepEqual(keys('call'), ['digest', 'effect', 'operation', 'protocol', 'resource']);
	assert.deepEqual(keys('http'), ['body', 'body_state', 'headers', 'method', 'path', 'query', 'segments', 'status']);
	assert.deepEqual(keys('mcp'), [
		'arguments',
		'definition',
		'method',
		'prompt',
		'protocol_version',
		'resource_uri',
		'tool',
	]);
	assert.deepEqual(keys('grpc'), ['message', 'metadata', 'method', 'service']);
	assert.deepEqual(keys('sql'), [
		'database',
		'dialect',
		'effect',
		'functions',
		'opaque',
		'parameters',
		'statements',
		'tables',
		'text',
		'user',
	]);
	assert.deepEqual(keys('redis'), ['arguments', 'command', 'keys']);
	assert.deepEqual(keys('mission'), ['id', 'labels', 'usage']);
	assert.deepEqual(properties?.['http']?.properties?.['body_state']?.enum, [
		'whole',
		'none',
		'too_large',
		'unparsed',
		'encoded',
	]);
	const walk = (path: string, part: Schema): void => {
		assert.ok(part.description !== undefined, `${path} has a description`);
		if (part.properties !== undefined) assert.equal(part.additionalProperties, false, `${path} is closed`);
		for (const [name, inner] of Object.entries(part.properties ?? {})) walk(`${path}.${name}`, inner);
	};
	for (const [name, part] of Object.entries(properties ?? {})) walk(name, part);
});

test('the sample inputs keep to the schema', async t => {
	const bundle = await loaded(t, {
		'request.rego': 'package sallyport.request\n\nallow if json.match_schema(input.sample, input.schema)[0]\n',
	});
	for (const phase of POLICY_PATHS) {
		const input = JSON.stringify({ sample: sampleInput(phase), schema: await schema() });
		assert.equal(agentPolicy([bundle]).evaluate('request', input).verdict, 'allow', phase);
		const odd = JSON.stringify({ sample: { ...sampleInput(phase), odd: 1 }, schema: await schema() });
		assert.equal(agentPolicy([bundle]).evaluate('request', odd).cause, 'no_rule');
	}
});

test('a hundred thousand grants fit into the default memory', async t => {
	const grants = {
		http: Object.fromEntries(
			Array.from({ length: 25_000 }, (_, agent) => [
				`/agents/a${agent}`,
				Object.fromEntries(Array.from({ length: 4 }, (__, index) => [`target${index}`, { read: true }])),
			]),
		),
	};
	const root = await folder(t, {
		'request.rego': await readFile(`${POLICIES}/http/request.rego`, 'utf8'),
		'data.json': JSON.stringify({ grants }),
	});
	const bundle = await loadBundle('default', await compile(await theOpa(), [root]), root, options);
	const policy = agentPolicy([bundle]);
	const input = (agent: string) =>
		JSON.stringify({
			agent: { prefixes: ['/agents', agent] },
			target: { name: 'target3' },
			call: { protocol: 'http', effect: 'read' },
			http: { segments: [] },
		});
	assert.equal(policy.evaluate('request', input('/agents/a24999')).verdict, 'allow');
	assert.equal(policy.evaluate('request', input('/agents/a25000')).cause, 'no_rule');
	assert.ok(bundle.memory() < MEMORY);
});
