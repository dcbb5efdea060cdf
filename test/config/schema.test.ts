import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configJsonSchema } from '../../src/config/json-schema.ts';

type Node = Readonly<Record<string, unknown>>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every property of the schema, with its path. */
function* properties(node: unknown, path = ''): Generator<{ readonly path: string; readonly node: Node }> {
	if (!isNode(node)) return;
	if (isNode(node.properties)) {
		for (const [name, child] of Object.entries(node.properties)) {
			if (!isNode(child)) continue;
			yield { path: `${path}.${name}`, node: child };
			yield* properties(child, `${path}.${name}`);
		}
	}
	for (const key of ['items', 'additionalProperties']) yield* properties(node[key], `${path}[]`);
	if (Array.isArray(node.anyOf)) for (const branch of node.anyOf) yield* properties(branch, path);
}

const schema = configJsonSchema();
const found = new Map([...properties({ ...schema, definitions: {} })].map(({ path, node }) => [path.slice(1), node]));

test('every key of the configuration is described', () => {
	assert.ok(found.size > 80, `only ${found.size} keys were found`);
	const silent = [...found].filter(([, node]) => typeof node.description !== 'string').map(([path]) => path);
	assert.deepEqual(silent, []);
});

test('defaults stand in the grammar of the file', () => {
	assert.equal(found.get('drain_timeout')?.default, '25s');
	assert.equal(found.get('audit.limit')?.default, '1GiB');
	assert.equal(found.get('limits.header_bytes')?.default, '32KiB');
	assert.equal(found.get('limits.total')?.default, '0');
	assert.equal(found.get('limits.connections')?.default, 1024);
	assert.equal(found.get('policy.mode')?.default, 'enforce');
});

test('a string may be a reference; unknown keys are errors', () => {
	assert.deepEqual(found.get('identity.trust_domain')?.anyOf, [
		{ type: 'string', maxLength: 255, pattern: '^[a-z0-9._-]+$' },
		{ $ref: '#/definitions/reference' },
	]);
	assert.equal(schema.additionalProperties, false);
	assert.equal(found.get('identity.svid')?.additionalProperties, false);
});
