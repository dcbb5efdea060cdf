import { Command, Help, type HelpConfiguration } from 'commander';
import { VERSION } from '../model/version.ts';
import type { StartSidecar } from './run.ts';
import { example } from './terminal.ts';

/** Each command's file is loaded only when it is called: starting the proxy must not load what mints certificates. */
interface Entry {
	readonly summary: string;
	load(): Promise<Command>;
}

const COMMANDS = (start: () => Promise<StartSidecar>): Readonly<Record<string, Entry>> => ({
	run: { summary: 'run the sidecar', load: async () => (await import('./run.ts')).runCommand(start) },
	demo: {
		summary: 'see it work, on loopback, in a minute',
		load: async () => (await import('./demo.ts')).demoCommand(),
	},
	init: {
		summary: 'write a first configuration and policy',
		load: async () => (await import('./init.ts')).initCommand(),
	},
	certs: { summary: 'make development certificates', load: async () => (await import('./certs.ts')).certsCommand() },
	exec: {
		summary: 'run a program whose calls go through Sallyport',
		load: async () => (await import('./exec.ts')).execCommand(),
	},
	doors: {
		summary: 'print the addresses of doors and proxy for an agent',
		load: async () => (await import('./doors.ts')).doorsCommand(),
	},
	config: {
		summary: 'check the configuration, print its schema',
		load: async () => (await import('./config.ts')).configCommand(),
	},
	check: {
		summary: 'try whether something gets around Sallyport',
		load: async () => (await import('./check.ts')).checkCommand(),
	},
	policy: {
		summary: 'check, test, build and evaluate policy',
		load: async () => (await import('./policy.ts')).policyCommand(),
	},
	audit: { summary: 'read and verify records', load: async () => (await import('./audit.ts')).auditCommand() },
	status: {
		summary: 'ask a running Sallyport how it is',
		load: async () => (await import('./status.ts')).statusCommand(),
	},
	reload: {
		summary: 'make a running Sallyport read its files again',
		load: async () => (await import('./reload.ts')).reloadCommand(),
	},
	revoke: {
		summary: "end an agent's access now",
		load: async () => (await import('./revoke.ts')).revokeCommand(),
	},
	webhook: {
		summary: 'put Sallyport into pods of Kubernetes',
		load: async () => (await import('./webhook.ts')).webhookCommand(),
	},
	revocations: {
		summary: 'make the signed list of revocations that a fleet follows',
		load: async () => (await import('./revocations.ts')).revocationsCommand(),
	},
});

/** Runs the command line: 0 done, 1 a failure, 2 the caller's mistake. */
export async function runProgram(argv: readonly string[], start: () => Promise<StartSidecar>): Promise<void> {
	const root = new Command('sallyport')
		.description('The sidecar through which every call of an AI agent leaves: identified, decided, written down.')
		.version(VERSION)
		.exitOverride(error => process.exit(error.exitCode === 0 ? 0 : 2))
		.showHelpAfterError('(sallyport --help shows the commands)')
		.configureHelp(HELP)
		.addHelpText(
			'after',
			example('sallyport demo', 'sallyport run --config sallyport.yaml', 'sallyport COMMAND --help'),
		);
	const words = argv.slice(2).filter(word => !word.startsWith('-'));
	const helped = words[0] === 'help' ? words.slice(1) : undefined;
	const name = helped === undefined ? words[0] : helped[0];
	for (const [key, { summary, load }] of Object.entries(COMMANDS(start))) {
		if (key === name) {
			const command = await load();
			root.addCommand(command);
			exitsWithTwo(command);
		} else root.addCommand(new Command(key).description(summary));
	}
	if (helped !== undefined && helped.length > 0) showHelp(root, helped);
	else await root.parseAsync([...argv]);
}

/** `help policy test`, of which Commander itself takes one word. */
function showHelp(root: Command, words: readonly string[]): void {
	let command = root;
	for (const word of words) {
		const inner = command.commands.find(each => each.name() === word);
		command = inner ?? command.error(`error: unknown command '${word}'`, { exitCode: 2 });
	}
	command.outputHelp();
}

/** Commander does not say which options must be given. */
const HELP: HelpConfiguration = {
	optionDescription(option) {
		const text = Help.prototype.optionDescription.call(this, option);
		return option.mandatory ? `${text} (required)` : text;
	},
};

/** Commander's own status for wrong usage is 1. */
function exitsWithTwo(command: Command): void {
	command.configureHelp(HELP);
	command.exitOverride(error =>
		process.exit(error.code === 'commander.error' || error.exitCode === 0 ? error.exitCode : 2),
	);
	for (const inner of command.commands) exitsWithTwo(inner);
}
