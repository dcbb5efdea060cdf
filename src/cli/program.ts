import { Command } from 'commander';
import { VERSION } from '../model/version.ts';
import type { StartSidecar } from './run.ts';

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
		.addHelpText(
			'after',
			'\nExamples:\n  sallyport demo\n  sallyport run --config sallyport.yaml\n  sallyport COMMAND --help',
		);
	const name = argv.slice(2).find(word => !word.startsWith('-'));
	for (const [key, { summary, load }] of Object.entries(COMMANDS(start))) {
		if (key === name) {
			const command = await load();
			root.addCommand(command);
			exitsWithTwo(command);
		} else root.addCommand(new Command(key).description(summary));
	}
	await root.parseAsync([...argv]);
}

/** Commander's own status for wrong usage is 1. */
function exitsWithTwo(command: Command): void {
	command.exitOverride(error =>
		process.exit(error.code === 'commander.error' || error.exitCode === 0 ? error.exitCode : 2),
	);
	for (const inner of command.commands) exitsWithTwo(inner);
}
