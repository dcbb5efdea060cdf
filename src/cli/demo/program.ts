import { spawn } from 'node:child_process';

/** How a program ended, and what it said. */
export interface Ran {
	/** Null when a signal ended it. */
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

const LIMIT = 20_000;
const LONGEST = 1024 * 1024;

/** Runs a program to its end. Resolves with status null when it cannot be started, or takes too long. */
export function runProgramOf(
	command: string,
	args: readonly string[],
	options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly limit?: number },
): Promise<Ran> {
	return new Promise(resolve => {
		const child = spawn(command, args, { cwd: options.cwd, env: options.env, stdio: ['ignore', 'pipe', 'pipe'] });
		const timer = setTimeout(() => child.kill('SIGKILL'), options.limit ?? LIMIT);
		const kill = (): void => {
			child.kill('SIGKILL');
		};
		process.once('exit', kill);
		let stdout = '';
		let stderr = '';
		child.stdout.setEncoding('utf8').on('data', (text: string) => {
			stdout = (stdout + text).slice(0, LONGEST);
		});
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			stderr = (stderr + text).slice(0, LONGEST);
		});
		const end = (status: number | null): void => {
			clearTimeout(timer);
			process.removeListener('exit', kill);
			resolve({ status, stdout, stderr });
		};
		child.once('error', error => {
			stderr += error.message;
			end(null);
		});
		child.once('close', end);
	});
}
