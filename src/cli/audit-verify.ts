import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { chainsOf } from '../audit/chains.ts';
import { type Copies, compareCopies, RecordList } from '../audit/copies.ts';
import { type Held, readHeld } from '../audit/held.ts';
import { readTrust, type Trust } from '../audit/trust.ts';
import { type CheckpointRef, type Verification, verifyDirectory } from '../audit/verify.ts';
import { type AuditOutput, fail, noRecords } from './audit-output.ts';
import { paint } from './audit-show.ts';
import { gapText, plain } from './audit-words.ts';
import { example, FAILURE } from './terminal.ts';

interface Options {
	readonly directory: string;
	readonly against?: readonly string[];
	readonly trustBundle?: readonly string[];
	readonly key?: readonly string[];
	readonly signer?: string;
	readonly json?: boolean;
}

const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

export function auditVerifyCommand(output: AuditOutput): Command {
	return new Command('verify')
		.description('prove that no record was changed, removed or reordered')
		.option('--directory <folder>', 'the audit directory', 'var/audit')
		.option(
			'--against <path>',
			'records held elsewhere, as a sink got them: a file of lines or arrays, or a folder of such; repeatable',
			collect,
		)
		.option(
			'--trust-bundle <file>',
			'PEM CAs that must have issued the certificate of the signing SVID; repeatable',
			collect,
		)
		.option('--key <file>', 'PEM public key that must have signed (audit.key); repeatable', collect)
		.option('--signer <id>', 'SPIFFE ID that the certificate must show, with --trust-bundle')
		.option('--json', 'print JSON')
		.addHelpText(
			'after',
			example(
				'sallyport audit verify',
				'sallyport audit verify --against /mnt/elsewhere/checkpoints.jsonl --trust-bundle certs/ca.pem',
			),
		)
		.action((options: Options, command: Command) => verify(options, command, output));
}

async function verify(options: Options, command: Command, output: AuditOutput): Promise<void> {
	const { trustBundle = [], key = [], signer } = options;
	if (signer !== undefined && trustBundle.length === 0) command.error('error: --signer needs --trust-bundle');
	try {
		const trust = trustBundle.length + key.length === 0 ? undefined : await readTrust(trustBundle, key, signer);
		const files = options.against === undefined ? undefined : await filesOf(options.against);
		const held = files === undefined ? undefined : await readHeld(files, trust);
		const list = new RecordList();
		const verified = await verifyDirectory(options.directory, {
			...(trust === undefined ? {} : { trust }),
			...(held === undefined ? {} : { held, list }),
			...(output.terminal ? { progress: (read, total) => progress(output, read, total) } : {}),
		});
		const { chain } = verified;
		const compared = held !== undefined && files !== undefined && chain !== undefined && verified.fault === undefined;
		const copies = compared ? await compareCopies(files, chain, list, held.newest(chain)) : undefined;
		const result: Verification = copies?.fault === undefined ? verified : { ...verified, fault: copies.fault };
		if (result.records === 0 && result.fault === undefined) throw await emptyFolder(options.directory);
		if (options.json === true) await output.write(`${JSON.stringify(forPrograms(result, copies))}\n`);
		else await output.write(report(result, held, copies, trust, output.colour));
		if (result.fault !== undefined) process.exitCode = FAILURE;
	} catch (error) {
		fail(output, error, options.directory);
	}
}

/** `query` takes a folder of several chains: whoever says it here too is told which there are. */
async function emptyFolder(directory: string): Promise<Error> {
	const [first, ...more] = (await chainsOf(directory)).filter(folder => folder !== directory);
	if (first === undefined) return noRecords(directory);
	const others = more.length === 0 ? '' : `, or one of ${more.length} others below it`;
	return new Error(
		`${directory} holds no records itself: one chain is verified at a time, so say --directory ${first}${others}`,
	);
}

/** As records are written: `snake_case`. */
function forPrograms(
	{ openCount, signed, held, ...rest }: Verification,
	copies: Copies | undefined,
): Readonly<Record<string, unknown>> {
	const reference = (checkpoint: CheckpointRef | undefined): unknown =>
		checkpoint === undefined
			? undefined
			: { seq: checkpoint.seq, time: checkpoint.time, key_id: checkpoint.keyId, owner: checkpoint.owner };
	return {
		whole: rest.fault === undefined,
		...rest,
		open_count: openCount,
		signed: reference(signed),
		held: reference(held),
		...(copies === undefined ? {} : { copies: { ...copies, fault: undefined } }),
	};
}

function progress(output: AuditOutput, read: number, total: number): void {
	if (total > 256 * 1024 ** 2)
		output.error(`\r${Math.floor((100 * read) / total)} % read${read === total ? '\n' : ''}`);
}

async function filesOf(paths: readonly string[]): Promise<readonly string[]> {
	const files: string[] = [];
	for (const path of paths) {
		if (!(await stat(path)).isDirectory()) files.push(path);
		else
			for (const name of (await readdir(path)).sort())
				if (/\.(jsonl?|log)(\.gz)?$/.test(name)) files.push(join(path, name));
	}
	return files;
}

function report(
	result: Verification,
	held: Held | undefined,
	copies: Copies | undefined,
	trust: Trust | undefined,
	colour: boolean,
): string {
	const { fault } = result;
	const lines: string[] = [];
	if (fault !== undefined) {
		const place = fault.line === 0 ? `the end of ${fault.segment}` : `${fault.segment} line ${fault.line}`;
		const broken = paint(colour, 'red', 'BROKEN');
		lines.push(`${broken} at record ${fault.seq}, ${place}: ${plain(fault.problem)}`);
		if (result.records > 0)
			lines.push(`read up to there: records ${result.first} to ${result.last} of chain ${result.chain}`);
	} else {
		const whole = paint(colour, 'green', 'whole');
		lines.push(`${whole}: records ${result.first} to ${result.last} of chain ${result.chain}`);
		lines.push(...proofs(result, held, trust));
		if (copies !== undefined) lines.push(copiesText(copies));
	}
	if (result.retired > 0 && fault === undefined)
		lines.push(`records 1 to ${result.retired} were deleted for retention, as the chain says`);
	for (const { seq, gap } of result.gaps) lines.push(`gap at record ${seq}: ${gapText(gap)}`);
	if (result.unknown > 0) lines.push(`${result.unknown} outcomes are unknown: Sallyport stopped before it saw the end`);
	if (result.openCount > 0) {
		lines.push(
			`${result.openCount} permitted calls have no outcome: they go on, or Sallyport was killed and not started again`,
		);
		for (const id of result.open.slice(0, 20)) lines.push(`  ${plain(id)}`);
		if (result.openCount > 20) lines.push(`  and ${result.openCount - 20} more (--json)`);
	}
	if (result.unfinished > 0) lines.push('the last record is being written right now');
	return `${lines.join('\n')}\n`;
}

/** What the copies hold, and what they lack. */
function copiesText({ records, last, types, lacking }: Copies): string {
	const lacks = Object.entries(lacking).map(([type, count]) => `${count} of type ${type}`);
	const whole = `and lack none of type ${types.join(', ')} up to there`;
	return `the copies hold ${records} records up to ${last}, each as it is here, ${lacks.length === 0 ? whole : `but lack ${lacks.join(', ')}`}`;
}

/** What is proven by what, and where that ends. */
function proofs(result: Verification, held: Held | undefined, trust: Trust | undefined): string[] {
	const lines: string[] = [];
	const proven = Math.max(result.held?.seq ?? 0, result.signed?.seq ?? 0);
	if (result.held !== undefined) {
		lines.push(
			`proven up to record ${result.held.seq}: a checkpoint held elsewhere says the same (${whose(result.held)})`,
		);
	}
	if (result.signed !== undefined && result.signed.seq > (result.held?.seq ?? 0)) {
		const checked = trust === undefined ? ', not checked whose: --trust-bundle or --key' : '';
		lines.push(
			`signed up to record ${result.signed.seq} at ${plain(result.signed.time)} (${whose(result.signed)}${checked})`,
		);
	}
	if (result.last > proven + 1)
		lines.push(`consistent after that: no checkpoint covers records ${proven + 1} to ${result.last}`);
	if (held === undefined)
		lines.push('removal of the last records is found only with --against, checkpoints that are held elsewhere');
	return lines;
}

const whose = ({ owner, keyId }: CheckpointRef): string =>
	plain(owner ?? (keyId === undefined ? 'not signed' : `key ${keyId.slice(0, 16)}`));
