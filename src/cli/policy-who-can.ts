import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { JSON_LIMITS, scanJson } from '../formats/json.ts';
import { decodeSegments } from '../formats/request-target.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import { identity } from '../model/agent.ts';
import type { Effect } from '../model/call.ts';
import type { Verdict } from '../model/verdict.ts';
import { BUILTINS } from '../policy/builtins/registry.ts';
import { readAny } from '../policy/locate.ts';
import { findOpa } from '../policy/opa.ts';
import { agentPolicy, loadBundle } from '../policy/set.ts';
import { printFailures } from './policy-text.ts';
import {
	DONE,
	example,
	FAILURE,
	jsonLine,
	mistake,
	processTerminal,
	settle,
	type Terminal,
	table,
} from './terminal.ts';

interface Options {
	readonly target: string;
	readonly effect: Effect;
	readonly protocol: 'http' | 'tcp' | 'postgres' | 'tunnel';
	readonly method?: string;
	readonly path: string;
	readonly input?: string;
	readonly agents?: string;
	readonly trustDomain: string;
	readonly all?: boolean;
	readonly opa?: string;
	readonly json?: boolean;
}

const MEMORY = 64 * 1024 * 1024;
const MOST_AGENTS = 100_000;

/** `policy who-can`: exit status 1 when the policy failed for somebody. */
export function whoCanCommand(terminal: Terminal = processTerminal()): Command {
	return new Command('who-can')
		.description('list the agents that a policy lets make a call')
		.argument('[paths...]', 'folders and files of Rego and data, or a compiled bundle', ['policies'])
		.requiredOption('--target <name>', 'name of the upstream, or HOST:PORT')
		.addOption(new Option('--effect <effect>', 'of the call').choices(['read', 'write', 'unknown']).default('read'))
		.addOption(
			new Option('--protocol <protocol>', 'of the call; all but http ask the phase connect')
				.choices(['http', 'tcp', 'postgres', 'tunnel'])
				.default('http'),
		)
		.option('--method <method>', 'of an HTTP call; GET, or POST where the effect is not read')
		.option('--path <path>', 'of an HTTP call', pathOf, '/')
		.option('--input <file>', 'more of the input: a JSON object whose members take the place of those made up')
		.option('--agents <file>', 'SPIFFE IDs, one a line; those that the data of the policy names when absent')
		.option('--trust-domain <name>', 'of agents that the data names by their path alone', 'example.org')
		.option('--all', 'list those who cannot, too')
		.option('--opa <path>', 'the opa executable; otherwise SALLYPORT_OPA, PATH, then the cached copy')
		.option('--json', 'print JSON')
		.addHelpText(
			'after',
			example(
				'sallyport policy who-can --target crm --effect write',
				'sallyport policy who-can policies --target crm --effect write --path /refunds --all --json',
			),
		)
		.action((paths: readonly string[], options: Options) =>
			settle(terminal, () => printFailures(terminal, options.json === true, () => whoCan(terminal, paths, options))),
		);
}

function pathOf(text: string): string {
	if (!text.startsWith('/') || decodeSegments(text) === undefined) throw new InvalidArgumentError('Expected a path.');
	return text;
}

interface Answer extends Pick<Verdict, 'verdict' | 'cause' | 'reasons' | 'error'> {
	readonly agent: string;
}

async function whoCan(terminal: Terminal, paths: readonly string[], options: Options): Promise<number> {
	const bundle = await readAny(paths, () => findOpa(options.opa, process.env));
	const loaded = await loadBundle('default', bundle, paths.join(', '), { memory: MEMORY, builtins: BUILTINS });
	const policy = agentPolicy([loaded]);
	const agents =
		options.agents === undefined
			? agentsIn(JSON.parse(bundle.data.toString('utf8')), options.trustDomain)
			: await listed(options.agents);
	if (agents.length === 0)
		throw mistake('the data of the policy names no agents (SPIFFE IDs, or paths below `grants`): say --agents');
	const more = options.input === undefined ? {} : await objectIn(options.input);
	const answers = agents.map((agent): Answer => {
		const input = JSON.stringify({ ...callBy(agent, options), ...more });
		const { verdict, cause, reasons, error } = policy.evaluate(
			options.protocol === 'http' ? 'request' : 'connect',
			input,
		);
		return {
			agent,
			verdict,
			reasons,
			...(cause === undefined ? {} : { cause }),
			...(error === undefined ? {} : { error }),
		};
	});
	const shown = answers.filter(
		({ verdict, error }) => options.all === true || verdict !== 'deny' || error !== undefined,
	);
	const { target, effect } = options;
	const failed = answers.some(({ error }) => error !== undefined);
	if (options.json === true) terminal.out(jsonLine({ target, effect, asked: answers.length, agents: shown }));
	else {
		terminal.out(table(shown.map(rowOf)));
		const can = answers.filter(({ verdict }) => verdict !== 'deny').length;
		// A name that is mistyped is denied to all, as it should be, and that looks like an answer.
		const { host } = addressOf(target);
		const named = [bundle.data, bundle.wasm].some(bytes => bytes.includes(host));
		const hint = can > 0 || named ? '' : `; neither the policy nor its data names ${host}`;
		terminal.out(`${can === 0 ? 'nobody' : can} of ${answers.length} agents${hint}\n`);
	}
	return failed ? FAILURE : DONE;
}

const rowOf = ({ agent, verdict, cause, reasons, error }: Answer): readonly string[] => [
	verdict,
	agent,
	[cause, error, ...reasons.map(({ msg }) => msg)].filter(part => part !== undefined).join(' · '),
];

/** HOST:PORT, or the name of an upstream. */
function addressOf(target: string): { readonly host: string; readonly port: number } {
	const [, host = target, port = '443'] = /^(.+):(\d{1,5})$/.exec(target) ?? [];
	return { host, port: Number(port) };
}

/** A call as Sallyport would describe it, as far as that is known beforehand. */
function callBy(agent: string, options: Options): Readonly<Record<string, unknown>> {
	const { target, effect, protocol, path } = options;
	const id = parseSpiffeId(agent);
	if ('broken' in id) throw mistake(`${agent} is no SPIFFE ID: ${id.broken}`);
	const { host, port } = addressOf(target);
	const declared = host === target;
	const method = options.method ?? (effect === 'read' ? 'GET' : 'POST');
	const http = protocol === 'http';
	return {
		time: new Date().toISOString(),
		phase: http ? 'request' : 'connect',
		direction: 'outbound',
		labels: {},
		listener: 'egress',
		agent: JSON.parse(identity(id, 'mtls').json),
		target: { ...(declared ? { name: target } : {}), host, port, protocol, tls: true },
		call: {
			protocol,
			operation: http ? method : 'connect',
			resource: http ? path : `${host}:${port}`,
			effect,
		},
		...(http
			? { http: { method, path, segments: decodeSegments(path), query: {}, headers: { host }, body_state: 'none' } }
			: {}),
	};
}

/** SPIFFE IDs anywhere in the data, as keys or texts, and paths that are keys below `grants`, as the starter policies have them. */
function agentsIn(data: unknown, trustDomain: string): readonly string[] {
	const found = new Set<string>();
	const take = (text: string, granted: boolean): void => {
		const id = granted && text.startsWith('/') ? `spiffe://${trustDomain}${text}` : text;
		if (!id.startsWith('spiffe://') || 'broken' in parseSpiffeId(id)) return;
		if (found.size >= MOST_AGENTS) throw mistake(`the data names more than ${MOST_AGENTS} agents: say --agents`);
		found.add(id);
	};
	const walk = (value: unknown, granted: boolean): void => {
		if (typeof value === 'string') take(value, false);
		else if (Array.isArray(value)) for (const item of value as readonly unknown[]) walk(item, granted);
		else if (typeof value === 'object' && value !== null)
			for (const [key, item] of Object.entries(value)) {
				take(key, granted);
				walk(item, granted || key === 'grants');
			}
	};
	walk(data, false);
	return [...found].sort();
}

async function listed(file: string): Promise<readonly string[]> {
	const lines = (await textOf(file)).split('\n').map(line => line.trim());
	return [...new Set(lines.filter(line => line !== '' && !line.startsWith('#')))];
}

async function objectIn(file: string): Promise<Readonly<Record<string, unknown>>> {
	const text = await textOf(file);
	const fault = scanJson(Buffer.from(text), JSON_LIMITS);
	if (fault !== undefined || text.trim()[0] !== '{') throw mistake(`${file} is no JSON object`);
	return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

async function textOf(file: string): Promise<string> {
	try {
		return await readFile(file, 'utf8');
	} catch (error) {
		const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
		throw mistake(`${file} cannot be read: ${code}`);
	}
}
