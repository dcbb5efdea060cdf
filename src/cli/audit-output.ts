import { FAILURE, visible } from './terminal.ts';

/** Where the commands write; handed in so that tests can read it. */
export interface AuditOutput {
	/** Resolves when more may be written. */
	readonly write: (text: string) => Promise<void>;
	readonly error: (text: string) => void;
	/** Whether a person reads along: then records are shown readable and, where wished, coloured. */
	readonly terminal: boolean;
	readonly colour: boolean;
}

/** The standard output of this process. */
export function processOutput(): AuditOutput {
	const { stdout } = process;
	// Whoever reads may have seen enough (`| head`): that is no failure.
	stdout.on('error', error => process.exit('code' in error && error.code === 'EPIPE' ? 0 : 1));
	return {
		write: text =>
			new Promise(resolve => {
				if (stdout.write(text)) resolve();
				else stdout.once('drain', resolve);
			}),
		error: text => process.stderr.write(text),
		terminal: stdout.isTTY === true,
		colour: stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '',
	};
}

/** Ends a command that could not do its work, with what to do about it. */
export function fail(output: AuditOutput, error: unknown, directory: string): void {
	output.error(`error: ${visible(wordsOf(error, directory))}\n`);
	process.exitCode = FAILURE;
}

/** What a folder without any record deserves: Sallyport writes one as soon as it has made the folder. */
export const noRecords = (directory: string): Error =>
	new Error(`${directory} holds no records: it is no audit directory, or they were removed`);

function wordsOf(error: unknown, directory: string): string {
	if (!(error instanceof Error)) return String(error);
	const { code, path } = error as NodeJS.ErrnoException;
	const own = path === directory;
	switch (code) {
		case 'ENOENT':
			return own
				? `there is no folder ${directory}: go to where Sallyport's configuration is, or say --directory`
				: `there is no file ${path}`;
		case 'ENOTDIR':
			return `${path} is no folder`;
		case 'EISDIR':
			return 'a folder stands where a file was expected';
		case 'EACCES':
			return `${path} may not be read: records are for the user and the group that Sallyport runs as`;
		default:
			return error.message;
	}
}
