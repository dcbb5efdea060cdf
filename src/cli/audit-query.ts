import { Command, InvalidArgumentError, Option } from 'commander';
import { type Question, queryDirectory, type Row } from '../audit/query.ts';
import { duration } from '../config/values.ts';
import { CAUSES } from '../model/cause.ts';
import { type AuditOutput, fail, noRecords } from './audit-output.ts';
import { Show } from './audit-show.ts';
import { countOf } from './audit-tail.ts';
import { example, visible } from './terminal.ts';

interface Options {
	readonly directory: string;
	readonly agent?: string;
	readonly target?: string;
	readonly time?: Span;
	readonly since?: number;
	readonly until?: number;
	readonly verdict?: string;
	readonly cause?: string;
	readonly decision?: string;
	readonly limit: number;
	readonly json?: boolean;
}

export function auditQueryCommand(output: AuditOutput): Command {
	return new Command('query')
		.description('find decisions, each with how it ended, and refused connections')
		.option('--directory <folder>', 'the audit directory, or a folder of several', 'var/audit')
		.option('--agent <id>', 'SPIFFE ID, its last part, or its beginning and *')
		.option('--target <name>', "an upstream's name, a host, or HOST:PORT")
		.option('--time <moment>', 'a day, hour or minute in UTC: 2026-03-03, 2026-03-03T10, 2026-03-03T10:15', spanOf)
		.option('--since <time>', 'RFC 3339, or how long ago: 2026-03-03T10:00:00Z, 90m, 3d', timeOf)
		.option('--until <time>', 'as --since; not included', timeOf)
		.addOption(new Option('--verdict <verdict>', 'of the decision').choices(['allow', 'ask', 'deny']))
		.addOption(new Option('--cause <cause>', 'why it was refused, or how it ended').argParser(causeOf))
		.option('--decision <id>', 'one decision, by its id or how that begins; shown whole')
		.option('--limit <count>', 'show the last so many', countOf, 1000)
		.option('--json', 'print JSON lines {decision, outcome} and {session}; the default when piped')
		.addHelpText(
			'after',
			example(
				'sallyport audit query --agent researcher --time 2026-03-03 --verdict deny',
				'sallyport audit query --target crm --since 2h --cause upstream_timeout',
			),
		)
		.action((options: Options) => query(options, output));
}

async function query(options: Options, output: AuditOutput): Promise<void> {
	const { agent, target, verdict, cause, decision, limit } = options;
	const since = options.since ?? options.time?.since;
	const until = options.until ?? options.time?.until;
	const question: Question = {
		limit,
		...(agent === undefined ? {} : { agent }),
		...(target === undefined ? {} : { target }),
		...(verdict === undefined ? {} : { verdict }),
		...(cause === undefined ? {} : { cause }),
		...(decision === undefined ? {} : { decision }),
		...(since === undefined ? {} : { since }),
		...(until === undefined ? {} : { until }),
	};
	try {
		const { rows, more, records, several } = await queryDirectory(options.directory, question);
		if (records === 0) throw noRecords(options.directory);
		const raw = options.json === true || !output.terminal;
		if (raw) for (const row of rows) await output.write(`${JSON.stringify(row)}\n`);
		else await show(rows, output, decision !== undefined, several);
		if (more > 0) output.error(`${more} earlier ones are not shown; --limit shows more\n`);
		if (options.json !== true && rows.length === 0 && more === 0) output.error('none found\n');
	} catch (error) {
		fail(output, error, options.directory);
	}
}

/** `whole`: what the records hold, too. */
async function show(rows: readonly Row[], output: AuditOutput, whole: boolean, several: boolean): Promise<void> {
	const lines = new Show(output.colour, true, several);
	lines.measure(rows.map(row => ('session' in row ? row.session : row.decision)));
	for (const row of rows) {
		await output.write(lines.row(row));
		if (!whole) continue;
		for (const record of Object.values(row)) await output.write(visible(`${JSON.stringify(record, null, 2)}\n`));
	}
}

interface Span {
	readonly since: number;
	readonly until: number;
}

const DAY = 86_400_000;

/** A day, hour or minute, by how much of a timestamp is given. */
function spanOf(text: string): Span {
	const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d))?Z?)?$/.exec(text);
	const [, day = '', hour, minute] = match ?? [];
	const since = Date.parse(`${day}T${hour ?? '00'}:${minute ?? '00'}:00Z`);
	if (Number.isNaN(since)) throw new InvalidArgumentError('Expected 2026-03-03, 2026-03-03T10 or 2026-03-03T10:15.');
	return { since, until: since + (hour === undefined ? DAY : minute === undefined ? 3_600_000 : 60_000) };
}

/** A time, or how long ago. */
export function timeOf(text: string): number {
	const ago = duration.safeParse(text);
	if (ago.success && text !== '0') return Date.now() - ago.data;
	const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
	if (Number.isNaN(time)) throw new InvalidArgumentError('Expected 2026-03-03T10:00:00Z, 2026-03-03, 90m or 3d.');
	return time;
}

function causeOf(text: string): string {
	const known: readonly string[] = CAUSES;
	if (!known.includes(text)) throw new InvalidArgumentError(`Expected one of ${CAUSES.join(', ')}.`);
	return text;
}
