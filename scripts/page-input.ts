import { readFileSync } from 'node:fs';
import { parseSpiffeId } from '../src/formats/spiffe-id.ts';
import { identity } from '../src/model/agent.ts';
import { PHASES, type Phase, type Section } from '../src/model/call.ts';
import { Life } from '../src/model/life.ts';
import type { AgentPolicy } from '../src/model/ports.ts';
import { judgedBy, type ProtocolName, target } from '../src/model/target.ts';
import { InputBuilder } from '../src/policy/input.ts';
import { EVERYTHING } from '../src/policy/reads.ts';
import { effectOf, httpCall, tunnelCall } from '../src/protocols/http/call.ts';
import { httpSections, type RequestFacts } from '../src/protocols/http/section.ts';
import { sqlSection } from '../src/protocols/postgres/section.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

type Node = Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** docs/input.md: the keys are the schema's, the phases are those in which the code really gives them. */
export function inputPage(): string {
	const schema: unknown = JSON.parse(readFileSync(new URL('../policies/input.schema.json', import.meta.url), 'utf8'));
	if (!isNode(schema)) throw new Error('policies/input.schema.json is no schema');
	const given = new Map(PHASES.map(phase => [phase, samples(phase)]));
	const phasesOf = (path: string): string => {
		const found = PHASES.filter(phase => given.get(phase)?.some(sample => holds(sample, path.split('.'))));
		return found.length === PHASES.length ? 'all' : found.length === 0 ? 'not yet' : found.map(code).join(', ');
	};
	const rows = (node: Node, prefix: string): string[][] =>
		[...keysOf(node, prefix)].map(([path, child]) => [
			code(path),
			kindOf(child),
			phasesOf(path),
			textOf(child.description),
		]);
	const head = ['key', 'type', 'phase', 'what it says'];
	const top = Object.entries(isNode(schema.properties) ? schema.properties : {}).filter(
		(entry): entry is [string, Node] => isNode(entry[1]),
	);
	const isSection = ([, node]: readonly [string, Node]): boolean => isNode(node.properties);
	const plain = top
		.filter(entry => !isSection(entry))
		.flatMap(([name, node]) => rows({ properties: { [name]: node } }, ''));
	const sections = top
		.filter(isSection)
		.map(
			([name, node]) => `## ${code(name)}\n\n${textOf(node.description)}\n\n${markdownTable(head, rows(node, name))}`,
		);
	return `${generatedFrom('policies/input.schema.json')}
# The input

What a policy finds under \`input\`. Keys that a call does not have are absent, never null. Only keys that the policy reads
are built, so records show those. What that means for bodies is in [policy.md](policy.md).

The phase is where Sallyport gives the key today: ${PHASES.map(code).join(', ')}, or all three. *Not yet* marks keys whose
names are settled, and which \`sallyport policy check\` knows, but that no protocol gives so far. A reference to a key that
is not on this page is an error in \`sallyport policy check\`.

## Of every call

${markdownTable(head, plain)}
${sections.join('\n')}`;
}

function* keysOf(node: Node, prefix: string): Generator<readonly [string, Node]> {
	for (const [name, child] of Object.entries(isNode(node.properties) ? node.properties : {})) {
		if (!isNode(child)) continue;
		const path = prefix === '' ? name : `${prefix}.${name}`;
		yield [path, child];
		yield* keysOf(child, path);
		if (isNode(child.items)) yield* keysOf(child.items, `${path}[]`);
	}
}

function kindOf(node: Node): string {
	if (Array.isArray(node.enum)) return node.enum.map(value => code(String(value))).join(' or ');
	switch (node.type) {
		case 'array':
			return isNode(node.items) && typeof node.items.type === 'string' ? `list of ${plural(node.items)}` : 'list';
		case 'object':
			return isNode(node.additionalProperties) ? `object of ${plural(node.additionalProperties)}` : 'object';
		case 'integer':
			return 'whole number';
		case undefined:
			return 'any';
		default:
			return textOf(node.type);
	}
}

const plural = (node: Node): string => kindOf(node).replace(/^\w+/, '$&s');

const holds = (value: unknown, [key, ...rest]: readonly string[]): boolean =>
	key === undefined || (isNode(value) && Object.hasOwn(value, key) && holds(value[key], rest));

/** Inputs as the proxy builds them, for a policy that reads everything. */
function samples(phase: Phase): readonly unknown[] {
	const agent = parseSpiffeId('spiffe://example.org/agents/researcher');
	if ('broken' in agent) throw new Error(agent.broken);
	const conn = { id: 'egress-1', identity: identity(agent, 'mtls'), listener: 'egress', life: new Life() };
	const everything: AgentPolicy = {
		bundles: [],
		reads: () => EVERYTHING,
		defines: () => true,
		evaluate: () => {
			throw new Error('nothing is evaluated here');
		},
	};
	const builder = new InputBuilder({ cluster: 'dev' });
	const build = (
		protocol: ProtocolName | 'tunnel',
		call: ReturnType<typeof tunnelCall>,
		sections: Section[],
	): unknown => {
		const aimed = target({
			upstream: 'crm',
			host: 'crm.internal',
			port: 443,
			protocol,
			tls: true,
			sni: 'crm.internal',
			address: '10.0.0.5',
			agent: agent.id,
		});
		const path = judgedBy(phase, aimed);
		return JSON.parse(builder.build(everything, path, { time: 0, conn, target: aimed, call, sections }).text);
	};
	if (phase === 'connect') {
		const tunnel = tunnelCall('crm.internal', 443);
		return [build('tunnel', tunnel, []), build('postgres', tunnel, [sqlSection('orders', 'reader')])];
	}
	const request: RequestFacts = {
		method: 'POST',
		path: '/contacts',
		query: 'page=1',
		headers: ['host', 'crm.internal'],
		body: { state: 'whole', text: '{}' },
	};
	// The answer is judged by its head; the request's body is not kept for it.
	const facts: RequestFacts =
		phase === 'request' ? request : { ...request, body: undefined, answer: { status: 200, headers: [] } };
	const section = httpSections({ headers: new Set(), query: new Set() });
	const { method, path, query } = facts;
	return [
		build('http', httpCall(method, 'crm.internal', path, query, effectOf(method, path, undefined), undefined), [
			section(facts),
		]),
	];
}
