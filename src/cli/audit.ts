import { Command } from 'commander';
import { auditQueryCommand } from './audit-query.ts';
import { auditTailCommand } from './audit-tail.ts';
import { auditVerifyCommand } from './audit-verify.ts';

/** Where the commands write; handed in so that tests can read it. */
export interface AuditOutput {
	/** Resolves when more may be written. */
	readonly write: (text: string) => Promise<void>;
	readonly error: (text: string) => void;
	/** Whether a person reads along: then records are shown readable and, where wished, coloured. */
	readonly terminal: boolean;
	readonly colour: boolean;
}

/** `audit tail`, `audit query` and `audit verify`: they read the directory, whether Sallyport runs or not. */
export function auditCommand(output: AuditOutput = processOutput()): Command {
	return new Command('audit')
		.description('read and verify records')
		.addCommand(auditTailCommand(output))
		.addCommand(auditQueryCommand(output))
		.addCommand(auditVerifyCommand(output));
}

function processOutput(): AuditOutput {
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
