import { Command, Option } from 'commander';
import { loadConfig } from '../config/load.ts';
import { problemText } from '../config/loaded.ts';
import type { Config } from '../config/schema.ts';
import { type AgentDoors, agentDoors, agentNamed } from './agent-doors.ts';
import { type AgentEnvironment, agentEnvironment, proxyMissing } from './agent-environment.ts';
import { DONE, example, jsonLine, mistake, processTerminal, settle, type Terminal, visible } from './terminal.ts';

export interface AgentOptions {
	readonly agent: string;
	readonly config: string;
	readonly certs?: string;
	readonly direct?: string;
}

interface Options extends AgentOptions {
	readonly format: 'env' | 'json';
}

/** `doors`: the environment that `exec` gives to programs, for containers and shells. It holds the agent's token. */
export function doorsCommand(terminal: Terminal = processTerminal()): Command {
	return withAgentOptions(new Command('doors'))
		.description('print the addresses of doors and proxy for an agent; they hold its token')
		.addOption(new Option('--format <format>', 'env for `eval`, or json').choices(['env', 'json']).default('env'))
		.addHelpText(
			'after',
			example(
				'eval "$(sallyport doors --agent researcher)"',
				'sallyport doors --agent researcher --format json | jq -r .env.DATABASE_URL',
			),
		)
		.action((options: Options) => settle(terminal, () => doors(options, terminal)));
}

export const withAgentOptions = (command: Command): Command =>
	command
		.requiredOption('--agent <name>', 'SPIFFE ID, or the NAME in spiffe://TRUST_DOMAIN/agents/NAME')
		.option('--config <file>', 'configuration file', 'sallyport.yaml')
		.option('--certs <folder>', "folder of NAME.pem and NAME.key; the trust bundle's when absent")
		.option('--direct <hosts>', 'hosts that programs reach without the proxy, as in NO_PROXY');

/** Everything that the agent's programs need. Throws a Failure when the configuration opens nothing to it. */
export function environmentFor(options: AgentOptions): {
	readonly known: AgentDoors;
	readonly environment: AgentEnvironment;
} {
	const config = readConfig(options.config);
	const agent = agentNamed(options.agent, config.identity.trust_domain);
	const known = agentDoors(config, agent, options.certs);
	if (known.doors.length === 0) {
		const reasons = known.unusable.map(({ listener, reason }) => `${listener}: ${reason}`);
		const missing = proxyMissing(known, config);
		const why = [...reasons, ...(reasons.includes(missing) ? [] : [missing])].map(text => `\n  ${text}`).join('');
		throw mistake(
			`${agent.id} has no way out: no listener ${reasons.length === 0 ? 'is open to it' : 'can be used'}${why}`,
		);
	}
	const direct = (options.direct ?? '')
		.split(',')
		.map(host => host.trim())
		.filter(host => host !== '');
	return { known, environment: agentEnvironment(known, config, process.env, direct) };
}

/** Users and passwords of upstreams are not an agent's, and stay unread. */
function readConfig(file: string): Config {
	const loaded = loadConfig(file, process.env, { withoutCredentials: true });
	if ('config' in loaded) return loaded.config;
	throw mistake(
		`the configuration has mistakes:\n${loaded.problems.map(problem => `  ${problemText(file, problem)}`).join('\n')}`,
	);
}

function doors(options: Options, terminal: Terminal): number {
	const { known, environment } = environmentFor(options);
	const { set, unset, notes } = environment;
	if (options.format === 'json') {
		terminal.out(jsonLine({ agent: known.agent.id, doors: known.doors, unusable: known.unusable, env: set, unset }));
		return DONE;
	}
	for (const note of notes) terminal.err(`# ${visible(note)}\n`);
	for (const [name, value] of Object.entries(set)) terminal.out(`export ${name}=${quoted(value)}\n`);
	for (const name of unset) terminal.out(`unset ${name}\n`);
	return DONE;
}

/** For a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
