import type { Argument, Command, Option } from 'commander';
import { auditCommand } from '../src/cli/audit.ts';
import { certsCommand } from '../src/cli/certs.ts';
import { checkCommand } from '../src/cli/check.ts';
import { configCommand } from '../src/cli/config.ts';
import { demoCommand } from '../src/cli/demo.ts';
import { doorsCommand } from '../src/cli/doors.ts';
import { execCommand } from '../src/cli/exec.ts';
import { initCommand } from '../src/cli/init.ts';
import { policyCommand } from '../src/cli/policy.ts';
import { reloadCommand } from '../src/cli/reload.ts';
import { revocationsCommand } from '../src/cli/revocations.ts';
import { revokeCommand } from '../src/cli/revoke.ts';
import { runCommand } from '../src/cli/run.ts';
import { statusCommand } from '../src/cli/status.ts';
import { webhookCommand } from '../src/cli/webhook.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

/** In the order in which `sallyport --help` lists them; test/docs holds this page against that list. */
const COMMANDS: readonly (() => Command)[] = [
	() => runCommand(() => Promise.reject(new Error('nothing runs here'))),
	demoCommand,
	initCommand,
	certsCommand,
	execCommand,
	doorsCommand,
	configCommand,
	checkCommand,
	policyCommand,
	auditCommand,
	statusCommand,
	reloadCommand,
	revokeCommand,
	webhookCommand,
	revocationsCommand,
];

/** Examples that test/docs/examples.test.ts cannot run, by a part of their text, and why. */
const NOT_RUN: readonly (readonly [part: string, reason: string])[] = [
	['sallyport run ', 'it goes on until it is stopped'],
	['sallyport demo', 'it takes a minute; test/demo/ runs it'],
	['python agent.py', 'the program is yours'],
	['| jq', 'jq may not be there'],
	['git describe', 'it names the release of your repository'],
	['tail -f', 'it goes on until it is interrupted'],
	['--decision 0', 'the id is that of a record of yours'],
	['/mnt/elsewhere', 'the checkpoints are held elsewhere'],
	['sallyport check egress', 'where nothing keeps programs in, ways are open'],
	['sallyport webhook', 'it goes on until it is stopped'],
	['--token-file tokens', 'the folder of the tokens is where your configuration has it'],
	['audit explain 019', 'the id is of a decision of yours'],
	['policy replay', 'it needs decisions of yours'],
	['release.key', 'the key is yours'],
	['fleet.key', 'the key is yours'],
	['fleet.pub', 'the key is yours'],
	['--socket /run', 'the socket is where your configuration has it'],
];

/** docs/commands.md */
export function commandsPage(): string {
	const pages = COMMANDS.flatMap(make => {
		const command = make();
		return command.commands.length === 0
			? [pageOf(command, '')]
			: command.commands.map(inner => pageOf(inner, `${command.name()} `));
	});
	return `${generatedFrom("the commands' own --help")}
# Commands

\`bin/sallyport\` in a checkout after \`npm ci && npm run setup\`, \`sallyport\` where the package is installed. \`sallyport --help\` lists the
commands, \`sallyport COMMAND --help\` says what is on this page.

- The exit status is 0 when it is done, 1 after a failure, 2 for the caller's mistake, unless something else stands below.
- What was asked for goes to stdout, what is said beside it to stderr. \`--json\` prints for programs.
- Colours are for terminals, and go by \`NO_COLOR\` and \`FORCE_COLOR\`. Text of others is shown with its control characters
  spelled out.

${pages.join('\n')}`;
}

function pageOf(command: Command, before: string): string {
	const name = `${before}${command.name()}`;
	const said = command.registeredArguments.map(argument => [
		code(argumentText(argument)),
		argument.description,
		defaultText(argument),
	]);
	const options = command.options.map(option => [
		code(option.flags),
		`${option.description}${option.argChoices === undefined ? '' : ` (${option.argChoices.map(code).join(', ')})`}`,
		option.mandatory ? 'required' : defaultText(option),
	]);
	const usage = [
		'sallyport',
		name,
		...(options.length > 0 ? ['[options]'] : []),
		...command.registeredArguments.map(argumentText),
	];
	return [
		`## ${code(`sallyport ${name}`)}\n`,
		`${sentence(command.description())}\n`,
		`\`\`\`\n${usage.join(' ')}\n\`\`\`\n`,
		...(said.length + options.length === 0
			? []
			: [markdownTable(['argument or option', 'what it says', 'default'], [...said, ...options])]),
		...examplesOf(command),
	].join('\n');
}

const sentence = (text: string): string =>
	`${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;

const argumentText = (argument: Argument): string => {
	const text = `${argument.name()}${argument.variadic ? '...' : ''}`;
	return argument.required ? `<${text}>` : `[${text}]`;
};

function defaultText({ defaultValue, defaultValueDescription }: Argument | Option): string {
	if (defaultValueDescription !== undefined) return code(defaultValueDescription);
	const value: unknown = defaultValue;
	if (value === undefined || value === false) return '';
	return [value]
		.flat()
		.map(item => code(String(item)))
		.join(', ');
}

/** The examples of --help: those that the tests run in one block, each of the others in one of its own, marked. */
function examplesOf(command: Command): string[] {
	let help = '';
	command.configureOutput({
		writeOut: text => {
			help += text;
		},
	});
	command.outputHelp();
	const lines =
		/\nExamples?:\n((?: {2}.+\n?)+)/
			.exec(help)?.[1]
			?.split('\n')
			.map(line => line.trim())
			.filter(line => line !== '') ?? [];
	const reasonOf = (line: string): string | undefined => NOT_RUN.find(([part]) => `${line} `.includes(part))?.[1];
	const block = (text: readonly string[]): string => `\`\`\`sh\n${text.join('\n')}\n\`\`\`\n`;
	const run = lines.filter(line => reasonOf(line) === undefined);
	const reasons = new Set(lines.map(reasonOf).filter(reason => reason !== undefined));
	return [
		...(run.length === 0 ? [] : [block(run)]),
		...[...reasons].map(
			reason => `<!-- not run: ${reason} -->\n${block(lines.filter(line => reasonOf(line) === reason))}`,
		),
	];
}
