import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SALLYPORT } from '../support/sallyport.ts';
import { until } from '../support/until.ts';

/** `sallyport demo` as a process, piped. */
export interface Demo {
	readonly child: ChildProcess;
	stdout(): string;
	stderr(): string;
	/** The lines of `--json` so far. */
	events(): readonly DemoEvent[];
	/** Waits for an event. */
	event(name: string): Promise<DemoEvent>;
	/** Exit status; null when a signal ended it. */
	readonly ended: Promise<number | null>;
}

export type DemoEvent = Readonly<Record<string, unknown>> & { readonly event: string };

const LIMIT = 90_000;

export function startDemo(
	t: Pick<TestContext, 'after'>,
	args: readonly string[],
	options: { readonly sallyport?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Demo {
	const child = spawn(options.sallyport ?? SALLYPORT, ['demo', ...args], {
		env: { ...process.env, ...options.env },
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let stdout = '';
	let stderr = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		stdout += text;
	});
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	const ended = new Promise<number | null>(resolve => child.once('close', resolve));
	t.after(async () => {
		child.kill('SIGTERM');
		await ended;
	});
	const events = (): DemoEvent[] =>
		stdout
			.split('\n')
			.slice(0, -1)
			.map(line => JSON.parse(line) as DemoEvent);
	return {
		child,
		stdout: () => stdout,
		stderr: () => stderr,
		events,
		event: name =>
			until(
				() => {
					if (child.exitCode !== null) throw new Error(`the demo ended without ${name}: ${stdout}${stderr}`);
					return events().find(({ event }) => event === name);
				},
				`the demo tells of ${name}: ${stdout}${stderr}`,
				LIMIT,
			),
		ended,
	};
}

/** A TMPDIR of its own, which the user of Postgres can go through. */
export function temporary(t: Pick<TestContext, 'after'>): string {
	const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-demo-'));
	chmodSync(directory, 0o711);
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

/** Folders that demos have made. */
export const demoFolders = (directory: string): string[] =>
	readdirSync(directory).filter(name => name.startsWith('sallyport-demo-'));

/** Processes whose command line names this. */
export function processesOf(text: string): string[] {
	return readdirSync('/proc').filter(name => {
		if (!/^\d+$/.test(name)) return false;
		try {
			return readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(text);
		} catch {
			return false;
		}
	});
}
