import { execFile, spawnSync } from 'node:child_process';

export const hasPsql = (): boolean => spawnSync('psql', ['--version']).status === 0;

export interface Ran {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs one command in psql, unaligned and without headers. */
export function psql(connection: string, command: string, environment: Record<string, string> = {}): Promise<Ran> {
	return new Promise(resolve => {
		const options = {
			env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...environment },
			maxBuffer: 64 * 1024 ** 2,
			timeout: 20_000,
		};
		const args = ['--no-psqlrc', '--no-password', '-At', '-v', 'ON_ERROR_STOP=1', '-d', connection, '-c', command];
		const child = execFile('psql', args, options, (error, stdout, stderr) => {
			resolve({ status: error === null ? 0 : (child.exitCode ?? -1), stdout, stderr });
		});
	});
}
