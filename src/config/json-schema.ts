import * as z from 'zod';
import { schema } from './schema.ts';

type Node = Record<string, unknown>;

/**
 * The configuration file's JSON Schema (draft 7, which editors know best), made from the schema that validates it.
 * Any string may also be a reference to an environment variable or a file.
 */
export function configJsonSchema(): Node {
	const made: unknown = z.toJSONSchema(schema, {
		target: 'draft-7',
		io: 'input',
		unrepresentable: 'any',
		// Defaults are kept as they are after validation, in milliseconds and bytes; a file says them otherwise.
		override: ({ zodSchema, jsonSchema }) => {
			const { def } = zodSchema._zod;
			if (def.type !== 'default' || !('defaultValue' in def)) return;
			jsonSchema.default = isFileMode(jsonSchema)
				? `0o${Number(def.defaultValue).toString(8)}`
				: asWritten(def.defaultValue, jsonSchema.pattern);
		},
	});
	const root = isNode(made) ? made : {};
	const { $schema, definitions, ...rest } = withReferences(root);
	return {
		$schema,
		title: 'sallyport.yaml',
		...rest,
		definitions: {
			...(isNode(definitions) ? definitions : {}),
			reference: {
				description: 'Instead of a string: the value of an environment variable, or what a file holds.',
				anyOf: [
					{ type: 'object', properties: { env: { type: 'string' } }, required: ['env'], additionalProperties: false },
					{ type: 'object', properties: { file: { type: 'string' } }, required: ['file'], additionalProperties: false },
				],
			},
		},
	};
}

/** Its number is octal, which JSON cannot say. */
const isFileMode = ({
	anyOf,
}: {
	readonly anyOf?: readonly { readonly maximum?: number | undefined }[] | undefined;
}): boolean => anyOf?.some(({ maximum }) => maximum === 0o777) === true;

const DURATIONS = [
	['d', 86_400_000],
	['h', 3_600_000],
	['m', 60_000],
	['s', 1000],
	['ms', 1],
] as const;
const SIZES = [
	['GiB', 1024 ** 3],
	['MiB', 1024 ** 2],
	['KiB', 1024],
	['B', 1],
] as const;

/** A default in the grammar of the file: a duration or a size if the pattern of the strings is theirs. */
function asWritten(value: unknown, pattern: string | undefined): z.core.util.JSONType {
	if (typeof value !== 'number' || pattern === undefined) return JSON.parse(JSON.stringify(value));
	if (value === 0) return '0';
	for (const [unit, worth] of pattern.includes('ms|s|m|h|d') ? DURATIONS : SIZES) {
		if (value % worth === 0) return `${value / worth}${unit}`;
	}
	return value;
}

/** Lets a reference stand wherever a string can. */
function withReferences(node: Node): Node {
	const inner: Node = {};
	for (const [key, value] of Object.entries(node)) {
		if (key === 'properties' && isNode(value)) {
			inner[key] = Object.fromEntries(
				Object.entries(value).map(([name, child]) => [name, isNode(child) ? withReferences(child) : child]),
			);
		} else if (key === 'propertyNames') inner[key] = value;
		else if (Array.isArray(value)) inner[key] = value.map(item => (isNode(item) ? withReferences(item) : item));
		else inner[key] = isNode(value) && key !== 'default' ? withReferences(value) : value;
	}
	if (node.type !== 'string') return inner;
	const { description, default: preset, ...string } = inner;
	return {
		...(description === undefined ? {} : { description }),
		...(preset === undefined ? {} : { default: preset }),
		anyOf: [string, { $ref: '#/definitions/reference' }],
	};
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/** As it is printed and committed: tabs, and short lists of plain values on one line. */
export const configJsonSchemaText = (): string => `${printed(configJsonSchema(), '', 0)}\n`;

const WIDTH = 120;

function printed(value: unknown, indent: string, before: number): string {
	if (typeof value !== 'object' || value === null) return JSON.stringify(value);
	const inner = `${indent}\t`;
	if (!Array.isArray(value)) {
		const entries = Object.entries(value).filter(([, item]) => item !== undefined);
		if (entries.length === 0) return '{}';
		const lines = entries.map(
			([key, item]) => `${inner}${JSON.stringify(key)}: ${printed(item, inner, key.length + 4)}`,
		);
		return `{\n${lines.join(',\n')}\n${indent}}`;
	}
	const plain = value.every(item => typeof item !== 'object' || item === null);
	const line = `[${value.map(item => JSON.stringify(item)).join(', ')}]`;
	if (plain && indent.length * 2 + before + line.length + 1 <= WIDTH) return line;
	return `[\n${value.map(item => `${inner}${printed(item, inner, 0)}`).join(',\n')}\n${indent}]`;
}
