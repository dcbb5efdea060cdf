import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { type MissingFile, missingFiles } from '../config/files.ts';
import { configJsonSchemaText } from '../config/json-schema.ts';
import { loadConfig } from '../config/load.ts';
import { problemText } from '../config/loaded.ts';
import type { Config } from '../config/schema.ts';
import { openSvid } from '../identity/svid.ts';
import { DONE, example, jsonLine, MISTAKE, processTerminal, settle, type Terminal, visible } from './terminal.ts';

interface Options {
	readonly config: string;
	readonly files: boolean;
	readonly json?: boolean;
}

/** `config check` and `config schema`. */
export function configCommand(terminal: Terminal = processTerminal()): Command {
	const config = new Command('config').description('check the configuration, print its schema');
	config
		.command('check')
		.description('say everything that is wrong with a configuration, where it stands')
		.option('--config <file>', 'configuration file', 'sallyport.yaml')
		.option('--no-files', 'leave the files that it names alone: for where they are not')
		.option('--json', 'print JSON')
		.addHelpText('after', example('sallyport config check --config sallyport.yaml'))
		.action((options: Options) => settle(terminal, () => check(options, terminal)));
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

function check({ config: file, files, json }: Options, terminal: Terminal): number {
	const loaded = loadConfig(file, process.env, files ? { files: filesOf } : { withoutFiles: true });
	const problems = 'problems' in loaded ? loaded.problems : loaded.missing;
	const warnings = 'problems' in loaded ? [] : loaded.warnings;
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

/** What is not there, and else what `run` would say of the SVID. */
function filesOf(config: Config): readonly MissingFile[] {
	const missing = missingFiles(config);
	const { files } = config.identity.svid;
	if (files === undefined || missing.some(({ path }) => path[0] === 'identity' && path[2] === 'files')) return missing;
	const text = (path: string): string => readFileSync(path, 'utf8');
	const material = {
		certificate: text(files.certificate),
		key: text(files.key),
		trustBundle: text(files.trust_bundle),
	};
	const svid = openSvid(material, config.identity.trust_domain, {
		now: Date.now(),
		skew: config.identity.clock_skew,
	});
	if (!('broken' in svid)) return missing;
	const named = /^(certificate|key|trust bundle): /.exec(svid.broken)?.[1]?.replace(' ', '_');
	return [
		...missing,
		{ path: ['identity', 'svid', 'files', ...(named === undefined ? [] : [named])], message: svid.broken },
	];
}
