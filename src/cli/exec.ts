import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { Command } from 'commander';
import { type AgentOptions, environmentFor, withAgentOptions } from './doors.ts';
import { example, mistake, processTerminal, settle, type Terminal, visible } from './terminal.ts';

/** As shells have it: the program is not there, or cannot be run. */
const NOT_FOUND = 127;
const NOT_RUNNABLE = 126;

const FORWARDED = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;
/** A terminal sends these to every process in its foreground by itself. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH']);

interface Options extends AgentOptions {
	readonly doorsOnly?: boolean;
	readonly quiet?: boolean;
}

/** `exec`: a program with token, proxy, doors and CA in its environment. It ends as the program ends. */
export function execCommand(terminal: Terminal = processTerminal()): Command {
	return withAgentOptions(new Command('exec'))
		.description('run a program whose calls go through Sallyport')
		.argument('<command...>', 'the program and its arguments, behind --')
		.option('--doors-only', 'run it although no proxy takes its HTTP calls; inherited proxies are unset')
		.option('-q, --quiet', 'say nothing of what is missing')
		.addHelpText('after', example('sallyport exec --agent researcher -- python agent.py'))
		.action((words: string[], options: Options) => settle(terminal, () => exec(words, options, terminal)));
}

async function exec(
	[program = '', ...words]: readonly string[],
	options: Options,
	terminal: Terminal,
): Promise<number> {
	const { set, unset, missing, notes } = environmentFor(options).environment;
	// Programs call by HTTP without saying so: one that is started here is not to find its own way.
	if (missing !== undefined && options.doorsOnly !== true)
		throw mistake(
			`${program} is not run, for its HTTP calls would not go through Sallyport: ${missing}. \`--doors-only\` runs it with the doors alone`,
		);
	if (options.quiet !== true) for (const note of notes) terminal.err(`sallyport exec: ${visible(note)}\n`);
	const env: NodeJS.ProcessEnv = { ...process.env, ...set };
	for (const name of unset) delete env[name];
	return await run(program, words, env, terminal);
}

/** Not process.execve: it would leave SIGPIPE ignored in the program, and ends in a crash where there is no program. */
async function run(
	program: string,
	words: readonly string[],
	env: NodeJS.ProcessEnv,
	terminal: Terminal,
): Promise<number> {
	// Before the program is there, so that no signal falls between.
	const signals = forwardSignals();
	const child = spawn(program, words, { env, stdio: 'inherit' });
	signals.to(child);
	const ended = await new Promise<
		{ readonly code: number | null; readonly signal: NodeJS.Signals | null } | NodeJS.ErrnoException
	>(resolve => {
		child.once('error', resolve);
		child.once('exit', (code, signal) => resolve({ code, signal }));
	});
	signals.stop();
	if (ended instanceof Error) {
		terminal.err(
			`error: ${visible(program)} cannot be run: ${ended.code === 'ENOENT' ? 'there is no such program' : (ended.code ?? ended.message)}\n`,
		);
		return ended.code === 'ENOENT' ? NOT_FOUND : NOT_RUNNABLE;
	}
	if (ended.signal === null) return ended.code ?? 1;
	// Ends as the program did, so that whoever waits sees the same.
	process.kill(process.pid, ended.signal);
	return 128 + (constants.signals[ended.signal] ?? 0);
}

function forwardSignals(): { to(child: ChildProcess): void; stop(): void } {
	let child: ChildProcess | undefined;
	const early: NodeJS.Signals[] = [];
	const listeners = FORWARDED.map(signal => {
		const listener = (): void => {
			if (FROM_TERMINAL.has(signal) && inForeground()) return;
			if (child === undefined) early.push(signal);
			else child.kill(signal);
		};
		process.on(signal, listener);
		return { signal, listener };
	});
	return {
		to(started) {
			child = started;
			for (const signal of early) started.kill(signal);
		},
		stop() {
			for (const { signal, listener } of listeners) process.removeListener(signal, listener);
		},
	};
}

/** Whether our process group has the terminal (proc_pid_stat(5): pgrp and tpgid). */
function inForeground(): boolean {
	try {
		const stat = readFileSync('/proc/self/stat', 'latin1');
		const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		return group !== undefined && group === foreground;
	} catch {
		return process.stdin.isTTY === true;
	}
}
