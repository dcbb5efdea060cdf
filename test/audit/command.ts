import { auditCommand } from '../../src/cli/audit.ts';

export interface Ran {
	readonly text: string;
	readonly errors: string;
	readonly status: number;
}

/** Runs `audit …` in this process. */
export async function run(args: readonly string[], terminal = false, colour = false): Promise<Ran> {
	let text = '';
	let errors = '';
	const before = process.exitCode;
	process.exitCode = 0;
	const command = auditCommand({
		terminal,
		colour,
		write: async part => {
			text += part;
		},
		error: part => {
			errors += part;
		},
	});
	for (const inner of [command, ...command.commands]) {
		inner.exitOverride().configureOutput({
			writeErr: part => {
				errors += part;
			},
		});
	}
	let status = 0;
	try {
		await command.parseAsync(args, { from: 'user' });
		status = Number(process.exitCode ?? 0);
	} catch {
		status = 2;
	}
	process.exitCode = before;
	return { text, errors, status };
}
