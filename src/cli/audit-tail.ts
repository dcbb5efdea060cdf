import { Command, InvalidArgumentError } from 'commander';
import { parseRecord } from '../audit/read-record.ts';
import { tailDirectory } from '../audit/tail.ts';
import { type AuditOutput, fail, noRecords } from './audit-output.ts';
import { Show } from './audit-show.ts';
import { example } from './terminal.ts';

interface Options {
	readonly directory: string;
	readonly follow?: boolean;
	readonly lines: number;
	readonly json?: boolean;
}

export function auditTailCommand(output: AuditOutput): Command {
	return new Command('tail')
		.description('show the last records, and with -f those to come')
		.option('--directory <folder>', 'the audit directory, or a folder of several', 'var/audit')
		.option('-f, --follow', 'go on with what is recorded from now on')
		.option('-n, --lines <count>', 'records to begin with', countOf, 10)
		.option('--json', 'print the records as they are; the default when piped')
		.addHelpText('after', example('sallyport audit tail -f', 'sallyport audit tail -n 100 --json | jq .call'))
		.action((options: Options) => tail(options, output));
}

export function countOf(text: string): number {
	if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('Expected a number of records.');
	return Number(text);
}

async function tail(options: Options, output: AuditOutput): Promise<void> {
	const { directory } = options;
	const stop = new AbortController();
	const interrupted = (): void => stop.abort();
	process.once('SIGINT', interrupted);
	process.once('SIGTERM', interrupted);
	const raw = options.json === true || !output.terminal;
	let show: Show | undefined;
	const follow = options.follow === true;
	let any = options.lines === 0;
	try {
		await tailDirectory(directory, { last: options.lines, follow, signal: stop.signal }, async (lines, several) => {
			any = true;
			if (raw) return output.write(lines.map(line => `${line.toString()}\n`).join(''));
			const records = lines.map(line => parseRecord(line) ?? { type: 'unreadable', bytes: line.length });
			const shown = show ?? new Show(output.colour, false, several);
			show = shown;
			shown.measure(records);
			return output.write(records.map(record => shown.record(record)).join(''));
		});
		if (!any && !follow) throw noRecords(directory);
	} catch (error) {
		fail(output, error, directory);
	} finally {
		process.off('SIGINT', interrupted);
		process.off('SIGTERM', interrupted);
	}
}
