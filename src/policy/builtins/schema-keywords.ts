import { isIPv4, isIPv6 } from 'node:net';
import {
	anObject,
	BuiltinFailure,
	equal,
	isArray,
	isNumber,
	isObject,
	keyOf,
	type RegoObject,
	type Value,
} from '../value.ts';
import type { BuiltinContext } from './contract.ts';
import { nanoseconds } from './instant.ts';

/** The keywords of JSON Schema, drafts 4 to 7 (draft-handrews-json-schema-validation-01). */

export interface Found {
	readonly field: string;
	readonly desc: string;
	readonly type: string;
}

/** What keywords need of the validator: schemas inside schemas. */
export interface Schemas {
	errors(value: Value, schema: Value, field: string): readonly Found[];
	matches(value: Value, schema: Value): boolean;
}

export interface Asked {
	readonly value: Value;
	readonly operand: Value;
	readonly keywords: RegoObject;
	readonly field: string;
	readonly validator: Schemas;
	readonly context: BuiltinContext;
}

export type Check = (asked: Asked) => readonly Found[];

const broken = (asked: Asked, type: string, desc: string): readonly Found[] => [{ field: asked.field, desc, type }];
const below = (field: string, key: string): string => (field === '' ? key : `${field}.${key}`);
const length = (text: string): number => [...text].length;

function typeOf(value: Value): string {
	if (value === null) return 'null';
	if (isNumber(value)) return typeof value === 'bigint' || Number.isInteger(value) ? 'integer' : 'number';
	if (typeof value === 'object') return isObject(value) ? 'object' : 'array';
	return typeof value;
}

const hasType = (value: Value, type: Value): boolean =>
	type === typeOf(value) || (type === 'number' && isNumber(value));

/** A bound on something that only one type has. */
const bound =
	(
		type: string,
		size: (value: Value) => number | bigint | undefined,
		fits: (size: number | bigint, limit: number | bigint) => boolean,
	): Check =>
	asked => {
		const measured = size(asked.value);
		if (measured === undefined || !isNumber(asked.operand)) return [];
		return fits(measured, asked.operand) ? [] : broken(asked, type, `${type}: ${String(asked.operand)} is asked for`);
	};

const number = (value: Value): number | bigint | undefined => (isNumber(value) ? value : undefined);
const characters = (value: Value): number | undefined => (typeof value === 'string' ? length(value) : undefined);
const items = (value: Value): number | undefined =>
	typeof value === 'object' && value !== null && isArray(value) ? value.length : undefined;
const properties = (value: Value): number | undefined =>
	typeof value === 'object' && value !== null && isObject(value) ? value.size : undefined;
const atLeast = (size: number | bigint, limit: number | bigint): boolean => size >= limit;
const atMost = (size: number | bigint, limit: number | bigint): boolean => size <= limit;

export function exclusive(value: Value, keywords: RegoObject, field: string): readonly Found[] {
	if (!isNumber(value)) return [];
	const limitOf = (name: string, base: string): number | bigint | undefined => {
		const limit = keywords.get(name);
		if (limit === true) return number(keywords.get(base) ?? null);
		return limit === undefined ? undefined : number(limit);
	};
	const least = limitOf('exclusiveMinimum', 'minimum');
	const most = limitOf('exclusiveMaximum', 'maximum');
	const found: Found[] = [];
	if (least !== undefined && value <= least)
		found.push({ field, desc: `Must be greater than ${least}`, type: 'number_gt' });
	if (most !== undefined && value >= most) found.push({ field, desc: `Must be less than ${most}`, type: 'number_lt' });
	return found;
}

const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map(
	Object.entries<(text: string) => boolean>({
		'date-time': text => parses(() => nanoseconds(text)),
		date: text => /^\d{4}-\d\d-\d\d$/.test(text) && parses(() => nanoseconds(`${text}T00:00:00Z`)),
		time: text => parses(() => nanoseconds(`2000-01-01T${text}${/[Zz]|[+-]\d\d:\d\d$/.test(text) ? '' : 'Z'}`)),
		email: text => /^[^\s@]+@[^\s@]+$/.test(text),
		hostname: text =>
			/^([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]))*$/.test(
				text,
			) && text.length < 256,
		ipv4: text => isIPv4(text),
		ipv6: text => isIPv6(text),
		uri: text => /^[A-Za-z][A-Za-z0-9+.-]*:[^\s\\]*$/.test(text),
		uuid: text => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
	}),
);

function parses(read: () => unknown): boolean {
	try {
		read();
		return true;
	} catch (error) {
		if (error instanceof BuiltinFailure) return false;
		throw error;
	}
}

const every = (asked: Asked): readonly Value[] => (isArray(asked.operand) ? asked.operand : []);

export const KEYWORDS: ReadonlyMap<string, Check> = new Map(
	Object.entries<Check>({
		type: asked => {
			const types = isArray(asked.operand) ? asked.operand : [asked.operand];
			return types.some(type => hasType(asked.value, type))
				? []
				: broken(
						asked,
						'invalid_type',
						`Invalid type. Expected: ${types.map(String).join('/')}, given: ${typeOf(asked.value)}`,
					);
		},
		enum: asked => {
			const { context, value } = asked;
			return every(asked).some(item => {
				context.spend(1);
				return equal(item, value);
			})
				? []
				: broken(asked, 'enum', 'must be one of the enumerated values');
		},
		const: asked => (equal(asked.operand, asked.value) ? [] : broken(asked, 'const', 'does not match the constant')),
		minimum: bound('number_gte', number, atLeast),
		maximum: bound('number_lte', number, atMost),
		multipleOf: bound('multiple_of', number, (value, step) => {
			const ratio = Number(value) / Number(step);
			return Math.abs(ratio - Math.round(ratio)) < 1e-9;
		}),
		minLength: bound('string_gte', characters, atLeast),
		maxLength: bound('string_lte', characters, atMost),
		minItems: bound('array_min_items', items, atLeast),
		maxItems: bound('array_max_items', items, atMost),
		minProperties: bound('array_min_properties', properties, atLeast),
		maxProperties: bound('array_max_properties', properties, atMost),
		pattern: asked => {
			if (typeof asked.value !== 'string' || typeof asked.operand !== 'string') return [];
			return asked.context.patterns.get(asked.operand).matcher(asked.value).find()
				? []
				: broken(asked, 'pattern', `Does not match pattern '${asked.operand}'`);
		},
		format: asked => {
			if (typeof asked.operand !== 'string') return [];
			const check = FORMATS.get(asked.operand);
			if (check === undefined) throw new Error(`the format ${asked.operand} of a JSON Schema is not known`);
			return typeof asked.value !== 'string' || check(asked.value)
				? []
				: broken(asked, 'format', `Does not match format '${asked.operand}'`);
		},
		required: asked => {
			const { value } = asked;
			if (!isObject(value)) return [];
			return every(asked).flatMap(name =>
				value.has(name) ? [] : broken(asked, 'required', `${String(name)} is required`),
			);
		},
		properties: asked => {
			const { value, validator, field, context } = asked;
			if (!isObject(value)) return [];
			const schemas = anObject(asked.operand);
			context.spend(schemas.size);
			return [...schemas].flatMap(([name, schema]) => {
				const item = value.get(name);
				return item === undefined ? [] : validator.errors(item, schema, below(field, String(name)));
			});
		},
		patternProperties: asked => {
			const { value, validator, field, context } = asked;
			if (!isObject(value)) return [];
			return [...anObject(asked.operand)].flatMap(([pattern, schema]) =>
				[...value].flatMap(([name, item]) =>
					context.patterns.get(String(pattern)).matcher(String(name)).find()
						? validator.errors(item, schema, below(field, String(name)))
						: [],
				),
			);
		},
		additionalProperties: asked => {
			const { value, validator, field, keywords, context, operand } = asked;
			if (!isObject(value)) return [];
			const own = keywords.get('properties');
			const patterns = keywords.get('patternProperties');
			const known = (name: Value): boolean =>
				(own !== undefined && anObject(own).has(name)) ||
				(patterns !== undefined &&
					[...anObject(patterns).keys()].some(pattern =>
						context.patterns.get(String(pattern)).matcher(String(name)).find(),
					));
			return [...value].flatMap(([name, item]) => {
				if (known(name)) return [];
				if (operand === false)
					return broken(asked, 'additional_property_not_allowed', `Additional property ${String(name)} is not allowed`);
				return validator.errors(item, operand, below(field, String(name)));
			});
		},
		propertyNames: asked => {
			const { value, validator, field, operand } = asked;
			return isObject(value)
				? [...value.keys()].flatMap(name => validator.errors(name, operand, below(field, String(name))))
				: [];
		},
		dependencies: asked => {
			const { value, validator, field } = asked;
			if (!isObject(value)) return [];
			return [...anObject(asked.operand)].flatMap(([name, rule]) => {
				if (!value.has(name)) return [];
				if (!isArray(rule)) return validator.errors(value, rule, field);
				return rule.every(other => value.has(other))
					? []
					: broken(asked, 'missing_dependency', `Has a dependency on ${rule.map(String).join(', ')}`);
			});
		},
		items: asked => {
			const { value, operand, validator, field, keywords } = asked;
			if (!isArray(value)) return [];
			if (!isArray(operand))
				return value.flatMap((item, index) => validator.errors(item, operand, below(field, String(index))));
			const rest = keywords.get('additionalItems') ?? true;
			return value.flatMap((item, index) =>
				validator.errors(item, operand[index] ?? rest, below(field, String(index))),
			);
		},
		contains: asked => {
			const { value, operand, validator } = asked;
			return !isArray(value) || value.some(item => validator.matches(item, operand))
				? []
				: broken(asked, 'contains', 'At least one of the items must match');
		},
		uniqueItems: asked => {
			const { value } = asked;
			if (asked.operand !== true || !isArray(value)) return [];
			return new Set(value.map(keyOf)).size < value.length ? broken(asked, 'unique', 'items must be unique') : [];
		},
		allOf: asked => every(asked).flatMap(schema => asked.validator.errors(asked.value, schema, asked.field)),
		anyOf: asked =>
			every(asked).some(schema => asked.validator.matches(asked.value, schema))
				? []
				: broken(asked, 'number_any_of', 'Must validate at least one schema (anyOf)'),
		oneOf: asked =>
			every(asked).filter(schema => asked.validator.matches(asked.value, schema)).length === 1
				? []
				: broken(asked, 'number_one_of', 'Must validate one and only one schema (oneOf)'),
		not: asked =>
			asked.validator.matches(asked.value, asked.operand)
				? broken(asked, 'number_not', 'Must not validate the schema (not)')
				: [],
		if: asked => {
			const branch = asked.keywords.get(asked.validator.matches(asked.value, asked.operand) ? 'then' : 'else');
			return branch === undefined ? [] : asked.validator.errors(asked.value, branch, asked.field);
		},
	}),
);
