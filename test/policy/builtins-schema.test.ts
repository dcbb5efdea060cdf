import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folder, loaded, theOpa } from './support.ts';

/** Whether documents match is as in opa; the words of errors are our own. */
const SCHEMAS: readonly (readonly [schema: unknown, ...documents: readonly unknown[]])[] = [
	[{ type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] }, { id: 1 }, { id: '1' }, {}, 5],
	[{ type: 'object', properties: { a: {} }, additionalProperties: false }, { a: 1 }, { a: 1, b: 2 }],
	[
		{ type: 'object', patternProperties: { '^x-': { type: 'string' } }, additionalProperties: { type: 'number' } },
		{ 'x-a': 'b', c: 1 },
		{ 'x-a': 1 },
		{ c: 'd' },
	],
	[{ type: ['string', 'null'], minLength: 2, maxLength: 3, pattern: '^a' }, 'ab', 'a', 'abcd', 'bb', null, 3],
	[{ type: 'number', minimum: 1, maximum: 5, multipleOf: 0.5 }, 1, 1.5, 5.5, 1.2, 0],
	[{ exclusiveMinimum: 1, exclusiveMaximum: 3 }, 1, 2, 3],
	[
		{ type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 2, uniqueItems: true },
		['a'],
		[],
		['a', 'a'],
		[1],
		['a', 'b', 'c'],
	],
	[{ items: [{ type: 'string' }, { type: 'number' }], additionalItems: false }, ['a', 1], ['a', 'b'], ['a', 1, 2]],
	[{ enum: ['a', 1, { b: 2 }] }, 'a', 1, { b: 2 }, 'c'],
	[{ const: { a: [1] } }, { a: [1] }, { a: [2] }],
	[{ allOf: [{ type: 'string' }, { minLength: 2 }] }, 'ab', 'a'],
	[{ anyOf: [{ type: 'string' }, { minimum: 2 }] }, 'ab', 3, 1],
	[{ oneOf: [{ type: 'integer' }, { minimum: 2 }] }, 1, 2.5, 3],
	[{ not: { type: 'string' } }, 1, 'a'],
	[JSON.parse('{"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 5}}'), 'a', 'ab', 4, 6],
	[{ $ref: '#/definitions/n', definitions: { n: { type: 'integer' } } }, 1, 'a'],
	[{ contains: { const: 1 } }, [2, 1], [2]],
	[{ propertyNames: { maxLength: 2 } }, { ab: 1 }, { abc: 1 }],
	[{ dependencies: { a: ['b'] } }, { a: 1, b: 2 }, { a: 1 }, { b: 1 }],
	[{ format: 'ipv4' }, '10.0.0.1', '10.0.0.256'],
	[{ format: 'date-time' }, '2024-01-02T03:04:05Z', '2024-13-02T03:04:05Z'],
	[{ format: 'email' }, 'a@example.org', 'a'],
	[{ minProperties: 1, maxProperties: 2 }, {}, { a: 1 }, { a: 1, b: 2, c: 3 }],
];

test('json.match_schema matches what opa matches', async t => {
	const opa = await theOpa();
	const root = await folder(t, {
		't.rego':
			'package t\n\nr := [[m[0] | some d in pair[1]; m := json.match_schema({"d": d}, {"properties": {"d": pair[0]}})] | some pair in input.pairs]\n',
	});
	const pairs = SCHEMAS.map(([schema, ...documents]) => [fixed(schema), documents]);
	const { stdout } = await opa.run(['eval', '-b', root, '--format', 'json', '--stdin-input', 'data.t.r'], {
		input: JSON.stringify({ pairs }),
	});
	const said = (JSON.parse(stdout) as { result: { expressions: { value: boolean[][] }[] }[] }).result[0]?.expressions[0]
		?.value;

	const bundle = await loaded(t, {
		'request.rego':
			'package sallyport.request\n\ndeny contains {"msg": "m", "detail": [[m[0] | some d in pair[1]; m := json.match_schema({"d": d}, {"properties": {"d": pair[0]}})] | some pair in input.pairs]}\n',
	});
	const statement = bundle.packages.get('request')?.evaluate(JSON.stringify({ pairs }));
	assert.ok(statement !== undefined && 'deny' in statement, JSON.stringify(statement));
	const ours = statement.deny[0]?.detail as boolean[][];
	for (const [index, [schema]] of SCHEMAS.entries())
		assert.deepEqual(ours[index], said?.[index], JSON.stringify(schema));
});

/** References count from the root of the schema, which is one level up. */
const fixed = (schema: unknown): unknown =>
	JSON.parse(JSON.stringify(schema).replace('"#/definitions', '"#/properties/d/definitions'));

test('a keyword that is not known ends the evaluation', async t => {
	const bundle = await loaded(t, {
		'request.rego': 'package sallyport.request\n\nallow if json.match_schema(input.d, input.s)[0]\n',
	});
	const evaluate = (s: unknown): unknown => bundle.packages.get('request')?.evaluate(JSON.stringify({ d: {}, s }));
	assert.match(JSON.stringify(evaluate({ unevaluatedProperties: false })), /keyword unevaluatedProperties/);
	assert.match(JSON.stringify(evaluate({ constructor: 1 })), /keyword constructor/);
	assert.match(JSON.stringify(evaluate({ $ref: 'http://example.org/s' })), /another document/);
});

test('json.verify_schema tells schemas from other things', async t => {
	const bundle = await loaded(t, {
		'request.rego': 'package sallyport.request\n\nallow if json.verify_schema(input.s)[0]\n',
	});
	const allows = (s: unknown): unknown => {
		const statement = bundle.packages.get('request')?.evaluate(JSON.stringify({ s }));
		return statement !== undefined && 'allow' in statement && statement.allow === true;
	};
	assert.equal(allows({ type: 'string' }), true);
	assert.equal(allows('{"type": "object"}'), true);
	assert.equal(allows({ type: 'strin' }), false);
	assert.equal(allows({ properties: { a: 1 } }), false);
	assert.equal(allows('nope'), false);
});
