import { Command } from 'commander';
import type { Status } from '../admin/status.ts';
import { placed } from '../policy/problem.ts';
import { askControl, type ControlOptions, problemWords, withControlOptions } from './control-client.ts';
import { credentialLines } from './credential-lines.ts';
import { identityLines } from './identity-lines.ts';
import { reloadProblemText } from './reload.ts';
import { revocationLines } from './revocation-lines.ts';
import { lasting, short, sizeText, warn } from './status-text.ts';
import {
	DONE,
	example,
	FAILURE,
	failure,
	jsonLine,
	processTerminal,
	settle,
	type Terminal,
	table,
	visible,
} from './terminal.ts';

interface Options extends ControlOptions {
	readonly json?: boolean;
}

/** `status`: exit status 0 when calls can be served, 1 when not. */
export function statusCommand(terminal: Terminal = processTerminal()): Command {
	return withControlOptions(new Command('status'))
		.description('ask a running Sallyport how it is; the exit status is 1 when it serves no calls')
		.option('--json', 'print JSON')
		.addHelpText(
			'after',
			example(
				'sallyport status --config sallyport.yaml',
				'sallyport status --socket /run/sallyport/control.sock --json',
			),
		)
		.action((options: Options) => settle(terminal, () => status(options, terminal)));
}

async function status(options: Options, terminal: Terminal): Promise<number> {
	const { status: code, body } = await askControl(options, 'GET', '/v1/status');
	if (code !== 200) throw failure(problemWords(body));
	if (!isStatus(body)) throw failure('what answers is not this version of Sallyport; try --json');
	terminal.out(options.json === true ? jsonLine(body) : shown(body, terminal, Date.now()));
	return body.ready ? DONE : FAILURE;
}

/** What the table below reads without looking; the rest is asked for piece by piece. */
function isStatus(body: unknown): body is Status {
	if (typeof body !== 'object' || body === null) return false;
	const parts = ['config', 'identity', 'policy', 'audit'] as const;
	return (
		'ready' in body &&
		parts.every(part => {
			const value: unknown = Reflect.get(body, part);
			return typeof value === 'object' && value !== null;
		}) &&
		'listeners' in body &&
		Array.isArray(body.listeners) &&
		'not_ready' in body &&
		Array.isArray(body.not_ready)
	);
}

function shown(status: Status, terminal: Terminal, now: number): string {
	const { paint } = terminal;
	const { identity, policy, audit, config } = status;
	const mood = status.ready ? paint('green', 'ready') : paint('red', status.draining ? 'draining' : 'not ready');
	const lines = [
		`${mood}  sallyport ${visible(status.version)}, process ${status.pid}, up ${lasting(now - Date.parse(status.started))}, ${status.calls_open} calls open\n`,
	];
	// What it sends people to is what they read.
	const said = (reason: string): string => visible(reason.replace('; `sallyport status` says why', ''));
	for (const { part, reason } of status.not_ready) lines.push(`  ${paint('red', visible(part))}: ${said(reason)}\n`);

	for (const { part, reason } of status.degraded ?? []) lines.push(warn(paint, visible(`${part}: ${reason}`)));

	lines.push(...identityLines(identity, terminal, now));
	lines.push(...credentialLines(status.credentials, terminal));

	const mode = policy.mode === 'observe' ? ' (observe: nothing is refused by policy)' : '';
	lines.push(
		table([
			[
				'policy  ',
				policy.revision === undefined ? 'none is in force: every call is refused' : `${short(policy.revision)}${mode}`,
			],
		]),
	);
	lines.push(
		table(
			policy.bundles.map(({ name, revision, activated, shadow }) => [
				name,
				short(revision),
				`since ${activated}${shadow === true ? ', only tried' : ''}`,
			]),
			'          ',
		),
	);
	for (const problem of policy.shadow_problems ?? []) lines.push(warn(paint, reloadProblemText(problem)));
	for (const { name, url, from_disk: kept, problem } of policy.downloads ?? []) {
		if (kept === true) lines.push(warn(paint, `${name}: kept from before the start; ${url} has not confirmed it`));
		if (problem !== undefined) lines.push(warn(paint, `${name}: ${placed(problem, url)}`));
	}
	if (policy.reports?.problem !== undefined)
		lines.push(warn(paint, `not reported to ${policy.reports.url}: ${policy.reports.problem}`));
	for (const problem of policy.problems ?? []) lines.push(warn(paint, reloadProblemText(problem)));

	lines.push(table([['config  ', config.file]]));
	for (const problem of config.problems ?? []) lines.push(warn(paint, reloadProblemText(problem)));
	if (config.restart !== undefined) lines.push(warn(paint, `changed, needs a restart: ${config.restart.join(', ')}`));

	lines.push(
		'listeners\n',
		table(
			status.listeners.map(({ name, address, connections }) => [name, address, `${connections} open`]),
			'          ',
		),
	);

	lines.push(...revocationLines(status.revocations, terminal, now));

	lines.push(
		table([
			[
				'audit   ',
				`${audit.directory}, chain ${audit.chain}, record ${audit.seq}, ${sizeText(audit.bytes)} of ${sizeText(audit.limit)}`,
			],
		]),
	);
	if (audit.unwritable !== undefined)
		lines.push(warn(paint, `records cannot be written since ${audit.unwritable.since}: ${audit.unwritable.reason}`));
	for (const { agent, since, refused } of audit.overdrawn ?? [])
		lines.push(
			warn(
				paint,
				`${agent ?? 'several agents'}: out of room since ${since}, ${refused} calls refused (audit.agent_share)`,
			),
		);
	const lost = Object.values(audit.lost).reduce((sum, count) => sum + count, 0);
	if (lost > 0) lines.push(warn(paint, `${lost} records are in no chain`));
	if (audit.unknown > 0) lines.push(warn(paint, `${audit.unknown} calls of the run before have no known end`));
	lines.push(
		table(
			audit.sinks.map(({ sink, behind, refused, error }) => [
				sink,
				behind === 0 ? 'has everything' : `${sizeText(behind)} behind`,
				[error, refused === undefined ? undefined : `${refused} records refused for good`]
					.filter(text => text !== undefined)
					.join('; '),
			]),
			'          ',
		),
	);
	return lines.join('');
}
