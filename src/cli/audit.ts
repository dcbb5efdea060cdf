import { Command } from 'commander';
import { auditExplainCommand } from './audit-explain.ts';
import { type AuditOutput, processOutput } from './audit-output.ts';
import { auditQueryCommand } from './audit-query.ts';
import { auditTailCommand } from './audit-tail.ts';
import { auditVerifyCommand } from './audit-verify.ts';

/** `audit tail`, `audit query`, `audit explain` and `audit verify`: they read the directory, whether Sallyport runs or not. */
export function auditCommand(output: AuditOutput = processOutput()): Command {
	return new Command('audit')
		.description('read and verify records')
		.addCommand(auditTailCommand(output))
		.addCommand(auditQueryCommand(output))
		.addCommand(auditExplainCommand(output))
		.addCommand(auditVerifyCommand(output));
}
