import { configJsonSchema } from '../src/config/json-schema.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

type Node = Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const branchesOf = (node: Node): Node[] =>
	Array.isArray(node.anyOf) ? node.anyOf.filter(isNode).filter(branch => branch.$ref === undefined) : [];

/** Name of a definition of its own, such as `secret`. */
const namedOf = (node: Node): string | undefined =>
	(Array.isArray(node.allOf) ? node.allOf : []).filter(isNode).map(({ $ref }) => textOf($ref).split('/').at(-1))[0];

/** docs/configuration.md */
export function configurationPage(): string {
	const schema = configJsonSchema();
	const sections = Object.entries(isNode(schema.properties) ? schema.properties : {}).filter(
		(entry): entry is [string, Node] => isNode(entry[1]),
	);
	const required = new Set(Array.isArray(schema.required) ? schema.required : []);
	const { definitions } = schema;
	const secret = isNode(definitions) && isNode(definitions.secret) ? definitions.secret : {};
	const pages = sections.map(([name, node]) => {
		const rows = [...keysOf(node, '')];
		const own = [kindOf(node), ...(required.has(name) ? ['required'] : []), ...defaultOf(node)].join(', ');
		const table = rows.length === 0 ? '' : `\n${markdownTable(['key', 'value', 'default', 'what it says'], rows)}`;
		return `## ${code(name)}\n\n${textOf(node.description)} (${own})\n${table}`;
	});
	return `${generatedFrom('src/config/schema.ts')}
# Configuration

One YAML file, \`sallyport.yaml\` unless \`--config\` names another. It is checked as a whole, and every problem is told with
line, column, path and what was expected; unknown keys are errors. \`sallyport config check\` does that, and looks
into the files that are named (not with \`--no-files\`), \`sallyport config schema\` prints the JSON Schema
([sallyport.schema.json](../sallyport.schema.json)) for editors, and \`sallyport init\` writes a commented file to begin with.

- Paths are relative to the folder of the file.
- Any string may be \`{ env: NAME }\`, the value of an environment variable, or \`{ file: path }\`, what a file holds without
  its last line feed.
- A *duration* is a whole number with \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`; a *size* one with \`B\`, \`KiB\`, \`MiB\` or \`GiB\`.
- A *pattern* of SPIFFE IDs: \`*\` stands for one path segment, \`/**\` at the end for the rest.
- **Bold** keys are required.

What a reload (\`sallyport reload\`, SIGHUP) cannot change is named by it, and waits for a restart.

${pages.join('\n')}
## Secrets

A *secret* is a string, \`{ env: NAME }\`, \`{ file: path }\`, or a program that prints it. [credentials.md](credentials.md) says how
each is renewed.

${markdownTable(['key', 'value', 'default', 'what it says'], [...keysOf(secret, '', true)])}`;
}

/** One row per key below a section, with its path. What one of several alternatives needs is not required. */
function* keysOf(node: Node, path: string, alternative = false): Generator<string[]> {
	if (isNode(node.properties)) {
		const required = new Set(Array.isArray(node.required) ? node.required : []);
		for (const [name, child] of Object.entries(node.properties)) {
			if (!isNode(child)) continue;
			const at = path === '' ? name : `${path}.${name}`;
			yield [
				required.has(name) && !alternative ? `**${code(at)}**` : code(at),
				kindOf(child),
				defaultOf(child).join(''),
				textOf(child.description),
			];
			yield* keysOf(child, at);
		}
	}
	if (isNode(node.items)) yield* keysOf(node.items, `${path}[]`);
	if (isNode(node.additionalProperties))
		yield* keysOf(node.additionalProperties, path === '' ? 'NAME' : `${path}.NAME`);
	// A list of what one alone can be too has the same keys.
	const branches = branchesOf(node);
	const alone = branches.some(({ properties }) => properties !== undefined);
	for (const branch of branches) if (!alone || branch.items === undefined) yield* keysOf(branch, path, true);
}

/** Empty for sections: their keys have defaults of their own. */
function defaultOf(node: Node): string[] {
	const { default: value } = node;
	if (value === undefined || (isNode(value) && Object.keys(value).length === 0)) return [];
	if (Array.isArray(value)) return [value.length === 0 ? 'none' : value.map(item => code(String(item))).join(', ')];
	return [code(String(value))];
}

const PATTERNS: readonly (readonly [RegExp, string])[] = [
	[/ms\|s\|m\|h\|d/, 'duration'],
	[/KiB\|MiB/, 'size'],
	[/\[0-7\]/, 'file mode'],
	[/^\^spiffe.*\\\*/, 'pattern'],
	[/^\^spiffe/, 'SPIFFE ID'],
];

function kindOf(node: Node): string {
	const named = namedOf(node);
	if (named !== undefined) return `[${named}](#secrets)`;
	const branches = branchesOf(node);
	if (branches.length > 0) {
		const alone = [...new Set(branches.filter(({ items }) => items === undefined).map(kindOf))].join(' or ');
		const lists = branches.filter(({ items }) => items !== undefined).map(kindOf);
		return [alone, ...lists.map(list => (list === `list of ${plural(alone)}` ? 'a list of these' : list))].join(
			', or ',
		);
	}
	if (typeof node.const === 'string') return code(node.const);
	if (Array.isArray(node.enum)) return node.enum.map(value => code(String(value))).join(' or ');
	switch (node.type) {
		case 'string':
			return PATTERNS.find(([shape]) => shape.test(textOf(node.pattern)))?.[1] ?? 'string';
		case 'array':
			return `list of ${isNode(node.items) ? plural(kindOf(node.items)) : 'values'}`;
		case 'object':
			return isNode(node.additionalProperties)
				? `map of names to ${plural(kindOf(node.additionalProperties))}`
				: 'section';
		case 'integer':
			return node.maximum === 0o777 ? 'file mode' : 'whole number';
		case 'boolean':
			return '`true` or `false`';
		default:
			return textOf(node.type);
	}
}

const plural = (word: string): string => (word.endsWith('`') || word.includes(' or ') ? word : `${word}s`);
