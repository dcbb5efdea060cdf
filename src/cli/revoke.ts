import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { readSubject } from '../identity/revocation/subject.ts';
import { fingerprintOf } from '../identity/token-file.ts';
import { lasting } from './arguments.ts';
import { askControl, type ControlOptions, problemWords, withControlOptions } from './control-client.ts';
import {
	DONE,
	example,
	FAILURE,
	failure,
	jsonLine,
	mistake,
	processTerminal,
	settle,
	type Terminal,
	table,
	visible,
} from './terminal.ts';

interface Options extends ControlOptions {
	readonly reason?: string;
	readonly for?: string;
	readonly tokenFile?: string;
	readonly undo?: boolean;
	readonly list?: boolean;
	readonly json?: boolean;
}

/** `revoke`: exit status 1 when it was not taken, or is in force without a record or for this process only. */
export function revokeCommand(terminal: Terminal = processTerminal()): Command {
	return withControlOptions(new Command('revoke'))
		.description("end an agent's access now, open connections included; give it back; list whose is ended")
		.argument('[what]', 'spiffe://… (an id or a pattern), serial:HEX or token:FINGERPRINT')
		.option('--reason <text>', 'why, for the record and for whoever reads the list')
		.option('--for <duration>', 'end by itself after so long, such as 30m, 24h or 7d')
		.option('--token-file <path>', 'the token in this file instead of [what]; - is the standard input')
		.option('--undo', 'give access back')
		.option('--list', 'what is revoked')
		.option('--json', 'print JSON')
		.addHelpText(
			'after',
			example(
				'sallyport revoke spiffe://example.org/agents/researcher --reason "runs away" --for 24h',
				'sallyport revoke "spiffe://example.org/agents/**" --reason "key of the CA leaked"',
				'sallyport revoke serial:0A1B2C --reason "laptop stolen"',
				'sallyport revoke --token-file tokens/researcher/token --reason "token in a log"',
				'sallyport revoke --undo spiffe://example.org/agents/researcher',
				'sallyport revoke --list',
			),
		)
		.action((what: string | undefined, options: Options) => settle(terminal, () => run(what, options, terminal)));
}

async function run(what: string | undefined, options: Options, terminal: Terminal): Promise<number> {
	const { reason, for: time, tokenFile, undo = false, list = false } = options;
	if (list) {
		if (what !== undefined || tokenFile !== undefined || undo || reason !== undefined || time !== undefined)
			throw mistake('--list stands alone');
		return await show(options, terminal);
	}
	if ((what === undefined) === (tokenFile === undefined))
		throw mistake('expected what is to be revoked: spiffe://…, serial:HEX, token:FINGERPRINT, or --token-file');
	const subject = readSubject(tokenFile === undefined ? (what ?? '') : `token:${await fingerprintIn(tokenFile)}`);
	if ('broken' in subject) throw mistake(subject.broken);
	if (undo) {
		if (reason !== undefined || time !== undefined) throw mistake('--undo takes neither --reason nor --for');
		return await giveBack(subject.what, options, terminal);
	}
	if (reason === undefined || reason.trim() === '') throw mistake('--reason is missing: say why, for the record');
	return await revoke(subject.what, reason, time, options, terminal);
}

async function revoke(
	what: string,
	reason: string,
	time: string | undefined,
	options: Options,
	terminal: Terminal,
): Promise<number> {
	const { status, body } = await askControl(options, 'POST', '/v1/revocations', {
		what,
		reason,
		...(time === undefined ? {} : { for_seconds: lasting(time) / 1000 }),
	});
	if (status === 400) throw mistake(problemWords(body));
	if (status !== 200) throw failure(problemWords(body));
	const { connections, effect_ms: effect, problems, revocation } = fields(body);
	const said = Array.isArray(problems) ? problems.map(String) : [];
	if (options.json === true) terminal.out(jsonLine(body));
	else {
		const { until } = fields(revocation);
		const end = typeof until === 'string' ? ` until ${until}` : '';
		const cut = `${Number(connections)} ${connections === 1 ? 'connection' : 'connections'} cut in ${Number(effect)} ms`;
		terminal.out(`${terminal.paint('green', 'revoked')} ${visible(`${what}${end}: ${cut}`)}\n`);
		for (const problem of said) terminal.err(`${visible(problem)}\n`);
	}
	return said.length === 0 ? DONE : FAILURE;
}

async function giveBack(what: string, options: Options, terminal: Terminal): Promise<number> {
	const { status, body } = await askControl(options, 'DELETE', `/v1/revocations?what=${encodeURIComponent(what)}`);
	if (status !== 200) throw failure(problemWords(body));
	terminal.out(options.json === true ? jsonLine(body) : `${terminal.paint('green', 'given back')} ${visible(what)}\n`);
	return DONE;
}

async function show(options: Options, terminal: Terminal): Promise<number> {
	const { status, body } = await askControl(options, 'GET', '/v1/revocations');
	if (status !== 200) throw failure(problemWords(body));
	if (options.json === true) {
		terminal.out(jsonLine(body));
		return DONE;
	}
	const { revocations } = fields(body);
	const rows = (Array.isArray(revocations) ? revocations : []).map(entry => {
		const { what, reason, operator, since, until, from } = fields(entry);
		const by = from === 'list' ? `list: ${String(operator)}` : String(operator);
		return [
			String(what),
			`since ${String(since)}`,
			until === undefined ? '' : `until ${String(until)}`,
			by,
			String(reason),
		];
	});
	terminal.out(rows.length === 0 ? 'nothing is revoked\n' : table(rows));
	return DONE;
}

/** Longest text that can be a token, bytes. */
const MAX_TOKEN = 4096;

/** The token goes no further than this: what is sent is its fingerprint. */
async function fingerprintIn(path: string): Promise<string> {
	let text: string;
	try {
		text = path === '-' ? await readInput() : readFileSync(path, 'utf8');
	} catch (error) {
		const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
		throw mistake(`--token-file: ${path} cannot be read (${code})`);
	}
	const token = text.trim();
	if (token === '' || token.length > MAX_TOKEN || /\s/.test(token))
		throw mistake('--token-file: there is no token in it');
	return fingerprintOf(createHash('sha256').update(token).digest('base64'));
}

async function readInput(): Promise<string> {
	const chunks: Buffer[] = [];
	let bytes = 0;
	for await (const chunk of process.stdin) {
		const read = Buffer.from(chunk);
		bytes += read.length;
		chunks.push(read);
		if (bytes > MAX_TOKEN) break;
	}
	return Buffer.concat(chunks).toString('utf8');
}

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
	typeof value === 'object' && value !== null ? { ...value } : {};
