import { renameSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { type Revocation, readRevocation } from '../identity/revocation/entry.ts';
import { readSigningKey, readVerifyKeys } from '../identity/revocation/list-key.ts';
import { readList, signList } from '../identity/revocation/signed-list.ts';
import { readSubject } from '../identity/revocation/subject.ts';
import { contents, lasting } from './arguments.ts';
import {
	DONE,
	example,
	failure,
	jsonLine,
	mistake,
	processTerminal,
	settle,
	type Terminal,
	table,
	timeText,
	visible,
} from './terminal.ts';

interface SignOptions {
	readonly key: string;
	readonly out?: string;
	readonly sequence?: string;
	readonly from?: string;
	readonly reason?: string;
	readonly operator?: string;
	readonly for?: string;
}

/** `revocations`: the signed list that a fleet follows (`identity.revocations`). */
export function revocationsCommand(terminal: Terminal = processTerminal()): Command {
	const command = new Command('revocations').description('make and read the signed list that a fleet follows');
	command
		.command('sign')
		.description('sign a list: what is named, and what a file names, and nothing else will be revoked by it')
		.argument('[what...]', 'spiffe://… (ids or patterns), serial:HEX, token:FINGERPRINT')
		.requiredOption('--key <file>', 'PEM private key: Ed25519, EC P-256 or P-384, RSA')
		.option('--out <file>', 'where the list is written; the standard output when absent')
		.option('--from <file>', 'JSON list of {what, reason, operator, since, until}')
		.option('--reason <text>', 'why what is named is revoked')
		.option('--operator <name>', 'who revokes it; signer when absent')
		.option('--for <duration>', 'what is named ends by itself after so long')
		.option('--sequence <number>', 'grows with every list; milliseconds since 1970 when absent')
		.addHelpText(
			'after',
			example(
				'openssl genpkey -algorithm ed25519 -out fleet.key && openssl pkey -in fleet.key -pubout -out fleet.pub',
				'sallyport revocations sign --key fleet.key --out revocations.jws --reason stolen spiffe://example.org/agents/a',
				'sallyport revocations sign --key fleet.key --out revocations.jws --from revoked.json',
				'sallyport revocations sign --key fleet.key --out revocations.jws',
			),
		)
		.action((what: string[], options: SignOptions) => settle(terminal, () => sign(what, options, terminal)));
	command
		.command('show')
		.description('check the signature of a list, and show what it revokes')
		.argument('<file>', 'the list')
		.requiredOption('--verify-key <file>', 'PEM public keys')
		.option('--json', 'print JSON')
		.addHelpText('after', example('sallyport revocations show revocations.jws --verify-key fleet.pub'))
		.action((file: string, options: { verifyKey: string; json?: boolean }) =>
			settle(terminal, () => show(file, options, terminal)),
		);
	return command;
}

function sign(what: readonly string[], options: SignOptions, terminal: Terminal): number {
	const { key: keyFile, out, from, reason, operator = 'signer' } = options;
	const key = readSigningKey(contents('--key', keyFile).toString('utf8'));
	if ('broken' in key) throw mistake(`--key: ${key.broken}`);
	const issued = Date.now();
	for (const option of ['reason', 'operator', 'for'] as const)
		if (what.length === 0 && options[option] !== undefined)
			throw mistake(`--${option} is about what is named, and nothing is`);
	if (what.length > 0 && (reason === undefined || reason.trim() === ''))
		throw mistake('--reason is missing: say why what is named is revoked');
	const life = options.for === undefined ? undefined : lasting(options.for);
	const named = what.map((text): Revocation => {
		const subject = readSubject(text);
		if ('broken' in subject) throw mistake(subject.broken);
		return {
			...subject,
			reason: reason ?? '',
			operator,
			since: issued,
			...(life === undefined ? {} : { until: issued + life }),
		};
	});
	const revocations = [...(from === undefined ? [] : readEntries(from)), ...named];
	const sequence = options.sequence === undefined ? issued : Number(options.sequence);
	if (!Number.isSafeInteger(sequence) || sequence < 0) throw mistake('--sequence: expected a whole number');
	const list = signList({ sequence, issued, revocations }, key);
	// What followers would not take is not given out.
	const read = readList(Buffer.from(list), [key]);
	if ('broken' in read) throw mistake(`whoever follows it would not take it: ${read.broken}`);
	if (out === undefined) terminal.out(list);
	else {
		// Whoever watches the file sees a whole one.
		const whole = `${out}.${process.pid}.new`;
		writeFileSync(whole, list);
		renameSync(whole, out);
		terminal.out(`wrote ${visible(out)}: sequence ${sequence}, ${revocations.length} revocations, key ${key.id}\n`);
	}
	return DONE;
}

function show(file: string, options: { verifyKey: string; json?: boolean }, terminal: Terminal): number {
	const keys = readVerifyKeys(contents('--verify-key', options.verifyKey).toString('utf8'));
	if ('broken' in keys) throw mistake(`--verify-key: ${keys.broken}`);
	const list = readList(contents('the list', file), keys);
	if ('broken' in list) throw failure(`${file}: ${list.broken}`);
	const { sequence, issued, key, revocations } = list;
	if (options.json === true) {
		const shown = revocations.map(({ kind: _, since, until, ...rest }) => ({
			...rest,
			since: timeText(since),
			...(until === undefined ? {} : { until: timeText(until) }),
		}));
		terminal.out(jsonLine({ sequence, issued: timeText(issued), key, revocations: shown }));
		return DONE;
	}
	terminal.out(`sequence ${sequence}, issued ${timeText(issued)}, key ${key}\n`);
	terminal.out(
		table(
			revocations.map(({ what, reason, operator, since, until }) => [
				what,
				`since ${timeText(since)}`,
				until === undefined ? '' : `until ${timeText(until)}`,
				operator,
				reason,
			]),
		),
	);
	return DONE;
}

function readEntries(file: string): Revocation[] {
	let value: unknown;
	try {
		value = JSON.parse(contents('--from', file).toString('utf8'));
	} catch (error) {
		if (error instanceof SyntaxError) throw mistake(`--from: ${file} is no JSON`);
		throw error;
	}
	// What `revoke --list --json` prints is taken too.
	const list = typeof value === 'object' && value !== null && 'revocations' in value ? value.revocations : value;
	if (!Array.isArray(list)) throw mistake(`--from: ${file} holds no list`);
	return list.map((entry: unknown, index) => {
		const { from: _, ...rest }: Readonly<Record<string, unknown>> =
			typeof entry === 'object' && entry !== null ? { ...entry } : {};
		const read = readRevocation(rest);
		if ('broken' in read) throw mistake(`--from: ${file}: entry ${index + 1}: ${read.broken}`);
		return read;
	});
}
