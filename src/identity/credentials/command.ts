import { type ChildProcess, spawn } from 'node:child_process';
import type { SecretCommand } from '../../config/credential.ts';
import { MAX_SECRET, type SecretUse, secretProblem, secretText } from '../../config/secret-text.ts';
import type { Clock } from '../../model/ports.ts';
import type { Broken } from '../trust.ts';
import type { Fetched, RenewedSource } from './renewed.ts';

/** Of its time a value is good for, how much passes before the program runs again. */
const RENEW_AFTER = 0.8;
/** Longest time for one run where none is said, milliseconds. */
const TIMEOUT = 10_000;

export interface CommandDeps {
	readonly clock: Clock;
	readonly environment: NodeJS.ProcessEnv;
}

/** What a program prints, good from the moment on that it was started. */
export function commandSource(
	{ command, ttl, timeout = Math.min(TIMEOUT, ttl) }: SecretCommand,
	use: SecretUse,
	{ clock, environment }: CommandDeps,
): RenewedSource {
	return {
		kind: 'command',
		// Its arguments may hold secrets.
		from: command[0] ?? '',
		async fetch(signal): Promise<Fetched | Broken> {
			const started = clock.now();
			const printed = await run(command, { timeout, environment, signal });
			if ('broken' in printed) return printed;
			const text = secretText(printed);
			const problem = text === undefined ? 'is not UTF-8' : secretProblem(use, text);
			if (text === undefined || problem !== undefined) return { broken: `what it prints ${problem}` };
			return { text, expires: started + ttl, renew: started + ttl * RENEW_AFTER };
		},
	};
}

interface Run {
	/** Milliseconds. */
	readonly timeout: number;
	readonly environment: NodeJS.ProcessEnv;
	readonly signal: AbortSignal;
}

/**
 * Runs a program without a shell, in a process group of its own that does not outlive its time. What it writes to stderr is
 * counted and not kept: it may hold the secret.
 */
function run(
	[program = '', ...args]: readonly string[],
	{ timeout, environment, signal }: Run,
): Promise<Buffer | Broken> {
	if (signal.aborted) return Promise.resolve({ broken: 'given up' });
	return new Promise(resolve => {
		let child: ChildProcess;
		try {
			child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: environment });
		} catch (error) {
			resolve(unstarted(error));
			return;
		}
		const printed: Buffer[] = [];
		let length = 0;
		let complaints = 0;
		const end = (result: Buffer | Broken): void => {
			clearTimeout(timer);
			signal.removeEventListener('abort', abort);
			// Without descriptors left there are none.
			child.stdout?.destroy();
			child.stderr?.destroy();
			resolve(result);
		};
		const stop = (broken: string): void => {
			if (child.pid !== undefined) killGroup(child.pid);
			end({ broken });
		};
		const abort = (): void => stop('given up');
		const timer = setTimeout(() => stop(`did not end within ${timeout} ms`), timeout);
		signal.addEventListener('abort', abort, { once: true });
		child.on('error', error => end(unstarted(error)));
		// Whatever breaks there, its end says enough.
		child.stdout?.on('error', () => {});
		child.stderr?.on('error', () => {});
		child.stdout?.on('data', (part: Buffer) => {
			length += part.length;
			// One more than the longest secret may have: its line break.
			if (length > MAX_SECRET + 2) stop('printed more than 16 KiB');
			else printed.push(part);
		});
		child.stderr?.on('data', (part: Buffer) => {
			complaints += part.length;
		});
		child.on('close', (code, signal) => {
			if (code === 0) end(Buffer.concat(printed));
			else {
				const said =
					complaints === 0 ? '' : `; its ${complaints} bytes on stderr are not shown, they may hold the secret`;
				end({ broken: `${code === null ? `was ended by ${signal}` : `ended with status ${code}`}${said}` });
			}
		});
	});
}

const unstarted = (error: unknown): Broken => {
	const code = error instanceof Error && 'code' in error ? error.code : 'unknown';
	return { broken: `cannot be started (${code})` };
};

/** The program and what it started. */
function killGroup(pid: number): void {
	try {
		process.kill(-pid, 'SIGKILL');
	} catch {
		// It has ended.
	}
}
