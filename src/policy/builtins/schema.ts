import { anObject, BuiltinFailure, isArray, isObject, RegoSet, type Value } from '../value.ts';
import { fromJson } from './codec.ts';
import type { BuiltinContext, Family } from './contract.ts';
import { exclusive, type Found, KEYWORDS, type Schemas } from './schema-keywords.ts';

/**
 * `json.match_schema` and `json.verify_schema`: JSON Schema, drafts 4 to 7, without references to other documents.
 * Whether a document matches is as in OPA; the wording of the errors is our own. A keyword whose meaning is not known
 * here ends the evaluation: a schema that is half understood would let things through.
 */

const MAX_STEPS = 100_000;
/** What one of them takes, in steps of `policy.fuel`. */
const STEP = 32;

const ANNOTATIONS: ReadonlySet<string> = new Set([
	'$schema',
	'$id',
	'id',
	'$comment',
	'title',
	'description',
	'default',
	'examples',
	'definitions',
	'$defs',
	'readOnly',
	'writeOnly',
	'contentEncoding',
	'contentMediaType',
	'then',
	'else',
	'additionalItems',
	'exclusiveMinimum',
	'exclusiveMaximum',
]);

class Validator implements Schemas {
	readonly #root: Value;
	readonly #context: BuiltinContext;
	#steps = 0;

	constructor(root: Value, context: BuiltinContext) {
		this.#root = root;
		this.#context = context;
	}

	matches(value: Value, schema: Value): boolean {
		return this.errors(value, schema, '').length === 0;
	}

	errors(value: Value, schema: Value, field: string): readonly Found[] {
		if (++this.#steps > MAX_STEPS) throw new Error('a JSON Schema takes too many steps');
		this.#context.spend(STEP);
		if (schema === true) return [];
		if (schema === false) return [{ field, desc: 'False always fails validation', type: 'false' }];
		const keywords = anObject(schema);
		const reference = keywords.get('$ref');
		if (reference !== undefined) return this.errors(value, this.#resolve(reference), field);
		const found: Found[] = [];
		for (const [keyword, operand] of keywords) {
			if (typeof keyword !== 'string' || ANNOTATIONS.has(keyword)) continue;
			const check = KEYWORDS.get(keyword);
			if (check === undefined) throw new Error(`the keyword ${keyword} of a JSON Schema is not known`);
			found.push(...check({ value, operand, keywords, field, validator: this, context: this.#context }));
		}
		// Draft 6 and later: numbers on their own; draft 4: booleans that sharpen `minimum` and `maximum`.
		found.push(...exclusive(value, keywords, field));
		return found;
	}

	#resolve(reference: Value): Value {
		if (typeof reference !== 'string' || !reference.startsWith('#'))
			throw new Error('a JSON Schema refers to another document');
		let schema: Value | undefined = this.#root;
		for (const part of reference.slice(1).split('/').slice(1)) {
			const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
			schema =
				schema !== undefined && isArray(schema)
					? schema[Number(key)]
					: schema !== undefined && isObject(schema)
						? schema.get(key)
						: undefined;
		}
		if (schema === undefined) throw new BuiltinFailure('a JSON Schema refers to nothing');
		return schema;
	}
}

/** A document or schema may be given as JSON text. */
function given(value: Value | undefined): Value {
	if (value === undefined || value instanceof RegoSet)
		throw new BuiltinFailure('operand must be an object or a string');
	if (typeof value !== 'string') return value;
	try {
		return fromJson(JSON.parse(value));
	} catch {
		throw new BuiltinFailure('not JSON');
	}
}

function schemaOf(value: Value | undefined): Value {
	const schema = given(value);
	if (!isObject(schema)) throw new BuiltinFailure('a JSON Schema must be an object');
	return schema;
}

const SCHEMA_TYPES: ReadonlySet<Value> = new Set(['array', 'boolean', 'integer', 'null', 'number', 'object', 'string']);

/** What is wrong with a schema itself, in as far as it can be told without a document. */
function schemaProblem(schema: Value): string | undefined {
	if (typeof schema === 'boolean') return undefined;
	if (!isObject(schema)) return 'a schema must be an object';
	const type = schema.get('type');
	const types = type === undefined ? [] : isArray(type) ? type : [type];
	if (types.some(name => !SCHEMA_TYPES.has(name))) return 'type is not the name of a type';
	for (const key of ['properties', 'patternProperties', 'definitions', '$defs', 'dependencies']) {
		const group = schema.get(key);
		if (group === undefined) continue;
		if (!isObject(group)) return `${key} must be an object`;
		for (const part of group.values()) {
			const wrong = key === 'dependencies' && isArray(part) ? undefined : schemaProblem(part);
			if (wrong !== undefined) return wrong;
		}
	}
	for (const key of [
		'items',
		'additionalProperties',
		'additionalItems',
		'not',
		'contains',
		'propertyNames',
		'if',
		'then',
		'else',
		'allOf',
		'anyOf',
		'oneOf',
	]) {
		const part = schema.get(key);
		if (part === undefined) continue;
		for (const one of isArray(part) ? part : [part]) {
			const wrong = schemaProblem(one);
			if (wrong !== undefined) return wrong;
		}
	}
	const required = schema.get('required');
	if (required !== undefined && !isArray(required)) return 'required must be an array';
	return undefined;
}

export const SCHEMA: Family = {
	'json.match_schema': ([document, schema], context) => {
		const root = schemaOf(schema);
		if (schemaProblem(root) !== undefined) throw new BuiltinFailure('not a JSON Schema');
		const found = new Validator(root, context).errors(given(document), root, '');
		const errors = found.map(({ field, desc, type }) => {
			const name = field === '' ? '(root)' : field;
			return new Map<Value, Value>([
				['desc', desc],
				['error', `${name}: ${desc}`],
				['field', name],
				['type', type],
			]);
		});
		return [errors.length === 0, errors];
	},
	'json.verify_schema': ([schema]) => {
		let wrong: string | undefined;
		try {
			wrong = schemaProblem(schemaOf(schema));
		} catch (error) {
			if (!(error instanceof BuiltinFailure)) throw error;
			wrong = error.message;
		}
		return [wrong === undefined, wrong ?? null];
	},
};
