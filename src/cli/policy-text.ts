import type { PolicyPath } from '../model/call.ts';
import type { Verdict } from '../model/verdict.ts';
import type { Checked } from '../policy/check.ts';
import { packageName } from '../policy/contract-module.ts';
import { PolicyError, printProblem } from '../policy/problem.ts';
import { NOT_THERE } from '../policy/sources.ts';
import type { Tested } from '../policy/tester.ts';
import { FAILURE, jsonLine, MISTAKE, type Terminal, visible } from './terminal.ts';

/** How the answers of `policy` look to a person. */

/** Prints what is wrong with a policy, one problem a line, and sets the status for it. */
export async function printFailures(terminal: Terminal, json: boolean, work: () => Promise<number>): Promise<number> {
	try {
		return await work();
	} catch (error) {
		if (!(error instanceof PolicyError)) throw error;
		if (json) terminal.out(jsonLine({ ok: false, problems: error.problems }));
		else for (const problem of error.problems) terminal.err(`${visible(printProblem(problem))}\n`);
		// A path that is not there is the caller's mistake.
		if (!error.problems.every(({ message }) => message === NOT_THERE)) return FAILURE;
		if (!json) terminal.err('name the folders and files of the policy, or go to where `policies` is\n');
		return MISTAKE;
	}
}

export function checkedText({ bundle, packages }: Checked, { paint }: Terminal): string {
	const lines = [`${paint('green', 'ok')}  revision ${bundle.revision}`];
	for (const { path: asked, reads, micros, error } of packages) {
		lines.push(
			'',
			`${paint('bold', packageName(asked))}  ${micros} us an evaluation, reads${reads?.length === 0 ? ' nothing' : ''}`,
		);
		if (error !== undefined) lines.push(`  ${paint('red', 'stopped')}: ${visible(error)}`);
		for (const path of reads ?? ['everything'])
			lines.push(`  ${visible(path === '*' ? 'input' : `input${path.startsWith('[') ? '' : '.'}${path}`)}`);
	}
	return `${lines.join('\n')}\n`;
}

export function testedText({ results, passed }: Tested, { paint }: Terminal): string {
	const lines: string[] = [];
	for (const { name, file, line, opa, engine, detail } of results) {
		if (opa === engine && opa === 'pass') continue;
		const what = opa === engine ? opa : `opa: ${opa}, engine: ${engine}`;
		lines.push(`${paint(opa === 'skip' ? 'yellow' : 'red', what)}  ${visible(`${file}:${line}: ${name}`)}`);
		if (detail !== undefined) lines.push(`  ${visible(detail)}`);
	}
	const good = results.filter(({ opa, engine }) => opa === engine && opa === 'pass').length;
	lines.push(
		`${paint(passed ? 'green' : 'red', `${good} of ${results.length} tests passed`)} in opa and in the engine`,
	);
	return `${lines.join('\n')}\n`;
}

export function verdictText(phase: PolicyPath, verdict: Verdict, { paint }: Terminal): string {
	const colour = verdict.verdict === 'allow' ? 'green' : verdict.verdict === 'ask' ? 'yellow' : 'red';
	const lines = [
		`${paint(colour, verdict.verdict)}${verdict.cause === undefined ? '' : `  ${verdict.cause}`}  (${phase}, ${verdict.micros} us)`,
	];
	for (const { msg, code } of verdict.reasons)
		lines.push(`  ${visible(msg)}${code === undefined ? '' : ` [${visible(code)}]`}`);
	if (verdict.error !== undefined) lines.push(`  ${visible(verdict.error)}`);
	return `${lines.join('\n')}\n`;
}
