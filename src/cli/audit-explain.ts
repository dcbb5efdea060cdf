import { Command } from 'commander';
import { queryDirectory } from '../audit/query.ts';
import { bundlesOf, objectOf, policyPathOf, type ReadRecord, textOf } from '../audit/read-record.ts';
import type { PolicyPath } from '../model/call.ts';
import type { BundleRevision } from '../model/verdict.ts';
import { type Explained, explain, type RuleRun } from '../policy/explain.ts';
import { BundleKeep } from '../policy/keep.ts';
import { findOpa } from '../policy/opa.ts';
import { failed, judge, type Statement, undefinedPhase } from '../policy/verdict.ts';
import { type AuditOutput, fail, noRecords } from './audit-output.ts';
import { Show } from './audit-show.ts';
import { plain } from './audit-words.ts';
import { FAILURE, failure, visible } from './terminal.ts';

interface Options {
	readonly directory: string;
	readonly keep: string;
	readonly opa?: string;
	readonly json?: boolean;
}

/** `audit explain ID`: exit status 1 when it cannot be explained, or comes to something else than was recorded. */
export function auditExplainCommand(output: AuditOutput): Command {
	return new Command('explain')
		.description('judge a recorded decision again, in opa, and show which rules and lines decided')
		.argument('<decision>', 'its id, or how that begins')
		.option('--directory <folder>', 'the audit directory', 'var/audit')
		.option('--keep <folder>', 'where bundles are kept (policy.keep)', 'var/policy')
		.option('--opa <path>', 'the opa executable; otherwise SALLYPORT_OPA, PATH, then the cached copy')
		.option('--json', 'print JSON; the default when piped')
		.addHelpText('after', '\nExample:\n  sallyport audit explain 019cb3a0-7c7e-7000')
		.action(async (id: string, options: Options) => {
			try {
				if (!(await explainDecision(id, options, output))) process.exitCode = FAILURE;
			} catch (error) {
				fail(output, error, options.directory);
			}
		});
}

interface Part {
	readonly name: string;
	readonly revision: string;
	/** Several bundles have this revision; the one that was in force last is shown. */
	readonly others: number;
	readonly explained: Explained;
}

async function explainDecision(id: string, options: Options, output: AuditOutput): Promise<boolean> {
	const record = await find(id, options.directory);
	const input = inputOf(record);
	const path = pathOf(record);
	const opa = await findOpa(options.opa, process.env);
	const parts: Part[] = [];
	for (const { name, revision } of namedBy(record)) {
		const [bundle, ...others] = await new BundleKeep(options.keep).find(name, revision);
		if (bundle === undefined)
			throw failure(
				`revision ${revision} of bundle ${name} is not kept in ${options.keep}: say --keep, or it was removed with the records that named it`,
			);
		parts.push({ name, revision, others: others.length, explained: await explain(opa, bundle, path, input) });
	}
	const again = verdictOf(parts, path);
	const same = again.cause === record.cause || (record.observed === true && again.cause !== undefined);
	const masked = maskedOf(record);
	if (options.json === true || !output.terminal)
		await output.write(`${JSON.stringify(shownJson(record, parts, again, same, masked))}\n`);
	else await show(record, parts, again, same, masked, output);
	return same;
}

async function find(id: string, directory: string): Promise<ReadRecord> {
	const { rows, more, records } = await queryDirectory(directory, { decision: id, limit: 2 });
	if (records === 0) throw noRecords(directory);
	const [row, other] = rows;
	if (row === undefined || !('decision' in row)) throw failure(`no decision in ${directory} has an id that begins so`);
	if (other !== undefined || more > 0) throw failure('several decisions have an id that begins so: give more of it');
	return row.decision;
}

function inputOf(record: ReadRecord): string {
	const erased = Array.isArray(record.erased) && record.erased.includes('/input');
	if (erased) throw failure('the record lacks the input: it was too long for the record of a refused call');
	const input = objectOf(record.input);
	if (input === undefined)
		throw failure(
			`the record lacks the input: policy was not asked, the call was refused before (${plain(textOf(record.cause) ?? '?')})`,
		);
	return JSON.stringify(input);
}

function pathOf(record: ReadRecord): PolicyPath {
	const path = policyPathOf(record);
	if (path === undefined) throw failure('the record names no phase that policy judges');
	return path;
}

function namedBy(record: ReadRecord): readonly BundleRevision[] {
	const named = bundlesOf(record);
	if (named.length === 0) throw failure('the record names no bundle: no policy spoke for the agent');
	return named;
}

function verdictOf(parts: readonly Part[], path: PolicyPath) {
	const statements: Statement[] = [];
	for (const { name, explained } of parts) {
		const { statement } = explained;
		if (statement === undefined) continue;
		if ('error' in statement) return failed({ ...statement, error: `${name}: ${statement.error}` }, 0);
		statements.push(statement);
	}
	return statements.length === 0 ? undefinedPhase(path === 'response' ? 'response' : 'request') : judge(statements, 0);
}

type Verdict = ReturnType<typeof verdictOf>;

/** What stands masked in the record: policy had something else there. */
const maskedOf = (record: ReadRecord): readonly string[] =>
	(Array.isArray(record.masked) ? record.masked : []).filter(
		(pointer): pointer is string => typeof pointer === 'string' && pointer.startsWith('/input/'),
	);

/** Which rules made the verdict; of a missing allow it is each that came to nothing. */
function decided({ rule, holds, default: standsIn }: RuleRun, { cause }: Verdict): boolean {
	switch (cause) {
		case undefined:
			return rule === 'allow' && holds && standsIn !== true;
		case 'denied_by_rule':
			return rule === 'deny' && holds;
		case 'approval_required':
			return rule === 'ask' && holds;
		default:
			return rule === 'allow' && (!holds || standsIn === true);
	}
}

const shownJson = (
	record: ReadRecord,
	parts: readonly Part[],
	again: Verdict,
	same: boolean,
	masked: readonly string[],
) => ({
	decision_id: record.decision_id,
	recorded: { verdict: record.verdict, ...(record.cause === undefined ? {} : { cause: record.cause }) },
	again: {
		verdict: again.verdict,
		...(again.cause === undefined ? {} : { cause: again.cause }),
		reasons: again.reasons,
		...(again.error === undefined ? {} : { error: again.error }),
	},
	same,
	...(masked.length === 0 ? {} : { masked }),
	bundles: parts.map(({ name, revision, others, explained }) => ({
		name,
		revision,
		...(others === 0 ? {} : { others }),
		rules: explained.rules.map(run => ({ ...run, decided: decided(run, again) })),
	})),
});

async function show(
	record: ReadRecord,
	parts: readonly Part[],
	again: Verdict,
	same: boolean,
	masked: readonly string[],
	output: AuditOutput,
): Promise<void> {
	const lines = [new Show(output.colour, true).row({ decision: record })];
	for (const { name, revision, others, explained } of parts) {
		lines.push(`\n${plain(name)}  revision ${plain(revision)}\n`);
		if (others > 0) lines.push(`  ${others} more kept bundles have this revision; this one was in force last\n`);
		if (explained.statement === undefined) lines.push('  does not define the phase\n');
		const runs = explained.rules.toSorted((a, b) => Number(decided(b, again)) - Number(decided(a, again)));
		for (const run of runs) lines.push(ruleLine(run, decided(run, again)));
	}
	const reasons = again.reasons.map(({ msg }) => msg);
	const why = [again.cause, again.error, ...reasons].filter(part => part !== undefined).map(plain);
	lines.push(`\nevaluated again: ${[again.verdict, ...why].join(' · ')}${same ? ', as recorded' : ''}\n`);
	if (!same)
		lines.push(`recorded was: ${plain(String(record.verdict))} · ${plain(String(record.cause ?? 'no cause'))}\n`);
	if (masked.length > 0)
		lines.push(`masked in the record, so that policy had something else there: ${plain(masked.join(', '))}\n`);
	await output.write(lines.join(''));
}

function ruleLine(
	{ rule, file, line, text, holds, failed: end, default: standsIn }: RuleRun,
	decides: boolean,
): string {
	const place = `${plain(file)}:${line}`;
	const outcome = standsIn === true ? 'stands in' : holds ? 'holds' : 'fails';
	const where =
		end === undefined || end.line === line
			? ''
			: `\n${' '.repeat(20)}at ${plain(file)}:${end.line}  ${shownLine(end.text)}`;
	return `${decides ? '→' : ' '} ${rule.padEnd(6)} ${outcome.padEnd(9)}  ${place}  ${shownLine(text)}${where}\n`;
}

const shownLine = (text: string): string => visible(text.length > 120 ? `${text.slice(0, 120)}…` : text);
