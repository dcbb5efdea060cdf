import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { SALLYPORT } from '../support/sallyport.ts';

export interface Ran {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly out: string;
	readonly err: string;
}

export interface RunOptions {
	readonly cwd?: string;
	readonly env?: NodeJS.ProcessEnv;
	/** Called with the process and what it has printed so far, each time it prints. */
	readonly onOutput?: (pid: number, out: string) => void;
}

/** Runs `bin/sallyport` with nothing of the caller's proxies. */
export function sallyport(words: readonly string[], { cwd, env, onOutput }: RunOptions = {}): Promise<Ran> {
	const own: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env };
	const child = spawn(SALLYPORT, words, { cwd, env: own, stdio: ['ignore', 'pipe', 'pipe'] });
	let out = '';
	let err = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		out += text;
		onOutput?.(child.pid ?? 0, out);
	});
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		err += text;
	});
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code, signal) => resolve({ code, signal, out, err }));
	});
}

/** A port of 127.0.0.1 that nobody listens on. */
export const freePort = (): Promise<number> =>
	new Promise((resolve, reject) => {
		const server = createServer();
		server.once('error', reject);
		server.listen(0, '127.0.0.1', () => {
			const address = server.address();
			server.close(() =>
				typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
			);
		});
	});
