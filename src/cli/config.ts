import { Command } from 'commander';
import { configJsonSchemaText } from '../config/json-schema.ts';
import { loadConfig } from '../config/load.ts';
import { problemText } from '../config/loaded.ts';
import { DONE, example, jsonLine, MISTAKE, processTerminal, settle, type Terminal, visible } from './terminal.ts';

/** `config check` and `config schema`. */
export function configCommand(terminal: Terminal = processTerminal()): Command {
	const config = new Command('config').description('check the configuration, print its schema');
	config
		.command('check')
		.description('say everything that is wrong with a configuration, where it stands')
		.option('--config <file>', 'configuration file', 'sallyport.yaml')
		.option('--json', 'print JSON')
		.addHelpText('after', example('sallyport config check --config sallyport.yaml'))
		.action((options: { readonly config: string; readonly json?: boolean }) =>
			settle(terminal, () => check(options, terminal)),
		);
	config
		.command('schema')
		.description('print the JSON Schema of the configuration, for editors')
		.addHelpText('after', example('sallyport config schema > sallyport.schema.json'))
		.action(() =>
			settle(terminal, () => {
				terminal.out(configJsonSchemaText());
				return DONE;
			}),
		);
	return config;
}

function check(
	{ config: file, json }: { readonly config: string; readonly json?: boolean },
	terminal: Terminal,
): number {
	const loaded = loadConfig(file, process.env);
	const problems = 'problems' in loaded ? loaded.problems : [];
	const warnings = 'warnings' in loaded ? loaded.warnings : [];
	if (json === true)
		terminal.out(
			jsonLine({
				file: loaded.file,
				ok: problems.length === 0,
				problems,
				...(warnings.length === 0 ? {} : { warnings }),
			}),
		);
	else if (problems.length === 0) terminal.out(`${visible(file)}: ${terminal.paint('green', 'good')}\n`);
	else for (const problem of problems) terminal.err(`${visible(problemText(file, problem))}\n`);
	if (json !== true)
		for (const warning of warnings)
			terminal.err(`${terminal.paint('yellow', 'warning')}: ${visible(problemText(file, warning))}\n`);
	return problems.length === 0 ? DONE : MISTAKE;
}
