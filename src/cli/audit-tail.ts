import { Command, InvalidArgumentError } from 'commander';
import { parseRecord } from '../audit/query.ts';
import { tailDirectory } from '../audit/tail.ts';
import type { AuditOutput } from './audit-output.ts';
import { Show } from './audit-show.ts';

interface Options {
	readonly directory: string;
	readonly follow?: boolean;
	readonly lines: number;
	readonly json?: boolean;
}

export function auditTailCommand(output: AuditOutput): Command {
	return new Command('tail')
		.description('show the last records, and with -f those to come')
		.option('--directory <folder>', 'the audit directory', 'var/audit')
		.option('-f, --follow', 'go on with what is recorded from now on')
		.option('-n, --lines <count>', 'records to begin with', countOf, 10)
		.option('--json', 'print the records as they are; the default when piped')
		.addHelpText('after', '\nExample:\n  sallyport audit tail -f\n  sallyport audit tail -n 100 --json | jq .call')
		.action((options: Options) => tail(options, output));
}

export function countOf(text: string): number {
	if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('Expected a number of records.');
	return Number(text);
}

async function tail(options: Options, output: AuditOutput): Promise<void> {
	const stop = new AbortController();
	const interrupted = (): void => stop.abort();
	process.once('SIGINT', interrupted);
	process.once('SIGTERM', interrupted);
	const raw = options.json === true || !output.terminal;
	const show = new Show(output.colour, false);
	const follow = options.follow === true;
	try {
		await tailDirectory(options.directory, { last: options.lines, follow, signal: stop.signal }, async lines => {
			if (raw) return output.write(lines.map(line => `${line.toString()}\n`).join(''));
			const shown = lines.map(line => {
				const record = parseRecord(line);
				return record === undefined ? `this is no record: ${line.length} bytes\n` : show.record(record);
			});
			return output.write(shown.join(''));
		});
	} catch (error) {
		output.error(`error: ${error instanceof Error ? error.message : String(error)}\n`);
		process.exitCode = 1;
	} finally {
		process.off('SIGINT', interrupted);
		process.off('SIGTERM', interrupted);
	}
}
