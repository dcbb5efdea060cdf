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
