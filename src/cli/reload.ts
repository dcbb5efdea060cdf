import { Command } from 'commander';
import type { ReloadProblem } from '../admin/api.ts';
import { askControl, type ControlOptions, problemWords, withControlOptions } from './control-client.ts';
import {
	DONE,
	example,
	FAILURE,
	failure,
	jsonLine,
	processTerminal,
	settle,
	type Terminal,
	visible,
} from './terminal.ts';

interface Options extends ControlOptions {
	readonly json?: boolean;
}

/** `reload`: identity, policy, the list of revocations and the configuration are read again; what is not good leaves the old in force. */
export function reloadCommand(terminal: Terminal = processTerminal()): Command {
	return withControlOptions(new Command('reload'))
		.description('make a running Sallyport read its files again')
		.option('--json', 'print JSON')
		.addHelpText('after', example('sallyport reload --config sallyport.yaml'))
		.action((options: Options) => settle(terminal, () => reload(options, terminal)));
}

async function reload(options: Options, terminal: Terminal): Promise<number> {
	const { status, body } = await askControl(options, 'POST', '/v1/reload');
	if (status !== 200 && status !== 422) throw failure(problemWords(body));
	const { problems, restart } = outcomeOf(body);
	const taken = status === 200;
	if (options.json === true) terminal.out(jsonLine({ taken, problems, restart }));
	else {
		if (taken) terminal.out(`${terminal.paint('green', 'taken')}\n`);
		else terminal.out(`${terminal.paint('red', 'not taken')}: what was in force before still is\n`);
		for (const problem of problems) terminal.out(`  ${visible(reloadProblemText(problem))}\n`);
		if (restart.length > 0)
			terminal.out(`${terminal.paint('yellow', 'needs a restart')}: ${visible(restart.join(', '))}\n`);
	}
	return taken ? DONE : FAILURE;
}

/** `policy: policies/request.rego:3: …`, `config: 12:3 listeners[0].address: …` */
export function reloadProblemText({ part, file, line, column, path, message }: ReloadProblem): string {
	const place = [file, ...(line === undefined || line === 0 ? [] : [line, ...(column === undefined ? [] : [column])])]
		.filter(piece => piece !== undefined)
		.join(':');
	return [part, place, path, message].filter(piece => piece !== undefined && piece !== '').join(': ');
}

function outcomeOf(body: unknown): {
	readonly problems: readonly ReloadProblem[];
	readonly restart: readonly string[];
} {
	const said = typeof body === 'object' && body !== null ? body : {};
	const problems = 'problems' in said && Array.isArray(said.problems) ? said.problems.filter(isProblem) : [];
	const restart =
		'restart' in said && Array.isArray(said.restart) ? said.restart.filter(section => typeof section === 'string') : [];
	return { problems, restart };
}

const isProblem = (value: unknown): value is ReloadProblem =>
	typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string';
