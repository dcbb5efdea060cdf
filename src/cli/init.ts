import { lstatSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { trustDomainProblem } from '../formats/spiffe-id.ts';
import { makeFolder } from '../kernel/make-folder.ts';
import { starterFiles } from './starter.ts';
import { DONE, example, jsonLine, mistake, processTerminal, settle, type Terminal } from './terminal.ts';

interface Options {
	readonly trustDomain: string;
	readonly json?: boolean;
}

/** `init`: a first configuration and policy, good as they stand. Nothing is replaced. */
export function initCommand(terminal: Terminal = processTerminal()): Command {
	return new Command('init')
		.description('write a first configuration and policy')
		.argument('[folder]', 'where to', '.')
		.option('--trust-domain <name>', 'trust domain of the agents', 'example.org')
		.option('--json', 'print JSON')
		.addHelpText('after', example('sallyport init --trust-domain example.org', 'sallyport init sidecar'))
		.action((folder: string, options: Options) =>
			settle(terminal, () => {
				try {
					return init(folder, options, terminal);
				} catch (error) {
					if (!(error instanceof Error && 'code' in error)) throw error;
					throw mistake(`${folder} cannot be written: ${WORDS[String(error.code)] ?? String(error.code)}`);
				}
			}),
		);
}

const WORDS: Readonly<Record<string, string>> = {
	EACCES: 'permission denied',
	EPERM: 'permission denied',
	EROFS: 'the file system is read-only',
	ENOENT: 'no folder can be made there',
	ENOTDIR: 'a file stands where a folder is wanted',
	EEXIST: 'a file stands where a folder is wanted',
};

function init(folder: string, { trustDomain, json }: Options, terminal: Terminal): number {
	const problem = trustDomainProblem(trustDomain);
	if (problem !== undefined) throw mistake(`--trust-domain ${trustDomain}: ${problem}`);
	const files = Object.entries(starterFiles(trustDomain)).map(([name, text]) => ({
		name,
		path: join(folder, name),
		text,
	}));
	// An ignore list that is there already is somebody's own.
	const missing = files.filter(({ name, path }) => name !== '.gitignore' || !isThere(path));
	const taken = missing.filter(({ path }) => isThere(path));
	if (taken.length > 0)
		throw mistake(
			`nothing was written: there ${taken.length === 1 ? 'is' : 'are'} ${taken.map(({ path }) => path).join(', ')} already`,
		);
	for (const { path, text } of missing) {
		makeFolder(dirname(path));
		writeFileSync(path, text, { flag: 'wx' });
	}
	if (json === true) {
		terminal.out(jsonLine({ written: missing.map(({ path }) => path) }));
		return DONE;
	}
	for (const { path } of missing) terminal.out(`${terminal.paint('green', 'wrote')}  ${path}\n`);
	terminal.out('\nNext:\n');
	const commands = [
		...(folder === '.' ? [] : [`cd ${folder}`]),
		`sallyport certs init --trust-domain ${trustDomain}`,
		'sallyport certs issue researcher',
		'sallyport config check',
		'sallyport policy test policies',
		'sallyport run',
		'sallyport exec --agent researcher -- curl -i http://example.com/',
		'sallyport audit tail -f',
	];
	for (const command of commands) terminal.out(`  ${command}\n`);
	return DONE;
}

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
