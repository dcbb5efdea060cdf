import type * as z from 'zod';
import { configJsonSchema } from './json-schema.ts';
import type { Problem } from './loaded.ts';

type Path = readonly (string | number)[];

/** What the schema found, each where it stands, in the words of the file. */
export function issueProblems(issue: z.core.$ZodIssue, problem: (path: Path, message: string) => Problem): Problem[] {
	const path = issue.path.filter(part => typeof part !== 'symbol');
	if (issue.code === 'unrecognized_keys')
		return issue.keys.map(key => {
			const known = keysAt(path);
			if (known.includes(key)) return problem([...path, key], 'does not stand beside the other keys here');
			const meant = similar(key, known);
			const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`;
			return problem([...path, key], `is not a key that Sallyport knows${hint}`);
		});
	if (issue.code === 'invalid_union') {
		// The branch that came furthest says best what is wrong.
		// A key that is unknown to each of them is the mistake, and not what each of them lacks without it.
		const unknown = issue.errors.map(errors =>
			errors.filter(({ code, path: at }) => code === 'unrecognized_keys' && at.length === 0),
		);
		const [first] = unknown;
		if (first?.[0] !== undefined && new Set(unknown.map(keysOf)).size === 1)
			return issueProblems({ ...first[0], path } as z.core.$ZodIssue, problem);
		const branches = [...issue.errors].sort((a, b) => depth(b) - depth(a) || a.length - b.length);
		const best = branches[0];
		if (best !== undefined && best.length > 0 && depth(best) > 0)
			return best.flatMap(inner =>
				issueProblems({ ...inner, path: [...path, ...inner.path] } as z.core.$ZodIssue, problem),
			);
		// Said in words where there are any.
		if (issue.message !== 'Invalid input') return [problem(path, issue.message)];
		const wanted = issue.errors.map(errors =>
			errors.map(one => expectation(one).replace(/^expected /, '')).join(' and '),
		);
		return [problem(path, `expected one of ${[...new Set(wanted)].join(', or ')}`)];
	}
	return [problem(path, expectation(issue))];
}

const keysOf = (issues: readonly z.core.$ZodIssue[]): string =>
	issues.flatMap(issue => (issue.code === 'unrecognized_keys' ? issue.keys : [])).join(' ');

/** An unknown key stands one below the section that it was found in. */
const depth = (issues: readonly z.core.$ZodIssue[]): number =>
	Math.max(0, ...issues.map(({ path, code }) => path.length + (code === 'unrecognized_keys' ? 1 : 0)));

function expectation(issue: z.core.$ZodIssue): string {
	if (issue.code === 'invalid_type') {
		// The input itself is not in the issue, so that no secret is; its kind is in the message.
		const found = /, received (\w+)$/.exec(issue.message)?.[1];
		if (issue.message.startsWith('a ')) return `expected ${issue.message}`;
		return found === 'undefined'
			? `is missing (${kind(issue.expected)})`
			: `expected ${kind(issue.expected)}${found === undefined ? '' : `, found ${kind(found)}`}`;
	}
	if (issue.code === 'invalid_key' && issue.issues[0] !== undefined) return expectation(issue.issues[0]);
	if (issue.code === 'invalid_value')
		return `expected ${issue.values.map(value => JSON.stringify(value)).join(' or ')}`;
	if (issue.code === 'invalid_format' && issue.message.startsWith('a ')) return `expected ${issue.message}`;
	return issue.message
		.replace(/^Invalid input: /, '')
		.replace(/\bexpected (array|object|record)\b/, (_, type: string) => `expected ${kind(type)}`)
		.replace(/^Too small/, 'too small')
		.replace(/^Too big/, 'too big');
}

/** What the schema's types are called in the file and on its page. */
const KINDS: Readonly<Record<string, string>> = { array: 'list', object: 'section', record: 'section' };

const kind = (type: string): string => KINDS[type] ?? type;

/** The keys that the schema has at a path; where it has several shapes there, those of all. */
function keysAt(path: Path): readonly string[] {
	let nodes: readonly unknown[] = [configJsonSchema()];
	for (const part of path) {
		nodes = nodes.flatMap(shapes).flatMap(node => {
			const { properties, items, additionalProperties } = node;
			if (typeof part === 'number') return [items];
			return [isNode(properties) && Object.hasOwn(properties, part) ? properties[part] : additionalProperties];
		});
	}
	return nodes.flatMap(shapes).flatMap(({ properties }) => (isNode(properties) ? Object.keys(properties) : []));
}

const shapes = (node: unknown): readonly Node[] => {
	if (!isNode(node)) return [];
	const { anyOf } = node;
	return [node, ...(Array.isArray(anyOf) ? anyOf.flatMap(shapes) : [])];
};

type Node = Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The known word that is the fewest letters away, if they are few. */
function similar(word: string, known: readonly string[]): string | undefined {
	const near = known
		.map(candidate => ({ candidate, distance: distanceOf(word.slice(0, 64), candidate) }))
		.filter(({ candidate, distance }) => distance <= Math.round(candidate.length * 0.4))
		.toSorted((a, b) => a.distance - b.distance);
	return near[0]?.candidate;
}

/** Letters that are put in, taken out, or exchanged to make one of the other (Levenshtein). */
function distanceOf(one: string, other: string): number {
	let row = Array.from({ length: other.length + 1 }, (_, index) => index);
	for (const [index, letter] of [...one].entries()) {
		const next = [index + 1];
		for (let at = 1; at <= other.length; at++) {
			const changed = (row[at - 1] ?? 0) + (other[at - 1] === letter ? 0 : 1);
			next.push(Math.min(changed, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
		}
		row = next;
	}
	return row.at(-1) ?? 0;
}
