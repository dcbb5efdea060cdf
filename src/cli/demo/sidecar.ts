import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { failure } from '../terminal.ts';
import { type DemoFolder, SALLYPORT } from './folder.ts';

/** A record as it comes from the stdout sink. */
export type StreamedRecord = Readonly<Record<string, unknown>> & { readonly type: string; readonly seq: number };

/** Sallyport as a process of its own, and the stream of its records. */
export interface Sidecar {
	/** How many records have come; a mark for {@link next}. */
	count(): number;
	last(): StreamedRecord | undefined;
	/** The first record from a mark on that fits; waits for it. Rejects when it does not come in time. */
	next(from: number, fits: (record: StreamedRecord) => boolean, what: string): Promise<StreamedRecord>;
	/** Calls back for each record from now on. */
	follow(listener: (record: StreamedRecord) => void): void;
	/** Resolves with the exit status when the process has ended, whatever the reason. */
	readonly ended: Promise<number | null>;
	stop(): Promise<void>;
}

const UP_LIMIT = 30_000;
const RECORD_LIMIT = 10_000;
/** Records that are kept for {@link Sidecar.next}: many more than the demo makes. */
const KEPT = 4096;
const LONGEST_LINE = 4 * 1024 * 1024;

/** Resolves when calls are served. Its records go to `elsewhere.jsonl` too, as a log collector would hold them. */
export async function startSidecar(folder: DemoFolder, environment: NodeJS.ProcessEnv): Promise<Sidecar> {
	const child = spawn(SALLYPORT, ['run', '--config', folder.config], {
		cwd: folder.path,
		env: environment,
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	const kill = (): void => {
		child.kill('SIGKILL');
	};
	process.once('exit', kill);
	const ended = new Promise<number | null>(resolve => {
		child.once('error', () => resolve(null));
		child.once('close', code => resolve(code));
	}).finally(() => process.removeListener('exit', kill));

	const records: StreamedRecord[] = [];
	const listeners = new Set<(record: StreamedRecord) => void>();
	byLine(child.stdout, line => {
		appendFileSync(folder.at('elsewhere.jsonl'), `${line}\n`);
		const record = JSON.parse(line) as StreamedRecord;
		if (records.length < KEPT) records.push(record);
		for (const listener of [...listeners]) listener(record);
	});
	await up(child, folder, ended);

	return {
		ended,
		count: () => records.length,
		last: () => records.at(-1),
		next: (from, fits, what) =>
			new Promise((resolve, reject) => {
				const there = records.slice(from).find(fits);
				if (there !== undefined) {
					resolve(there);
					return;
				}
				const listener = (record: StreamedRecord): void => {
					if (!fits(record)) return;
					done();
					resolve(record);
				};
				const timer = setTimeout(() => {
					done();
					reject(
						failure(
							`after ${RECORD_LIMIT / 1000} s there is no record of ${what}; ${folder.at('sallyport.log')} may say why`,
						),
					);
				}, RECORD_LIMIT);
				const done = (): void => {
					clearTimeout(timer);
					listeners.delete(listener);
				};
				listeners.add(listener);
				void ended.then(() => {
					done();
					reject(failure(`Sallyport ended before there was a record of ${what}`));
				});
			}),
		follow: listener => listeners.add(listener),
		async stop() {
			child.kill('SIGTERM');
			const timer = setTimeout(kill, 10_000);
			await ended;
			clearTimeout(timer);
		},
	};
}

/** Waits until its log says that it is up, and keeps the log. */
function up(child: ChildProcess, folder: DemoFolder, ended: Promise<number | null>): Promise<void> {
	return new Promise((resolve, reject) => {
		let last: string[] = [];
		const timer = setTimeout(() => {
			child.kill('SIGKILL');
			reject(failure(`Sallyport was not up in ${UP_LIMIT / 1000} s:\n${last.join('\n')}`));
		}, UP_LIMIT);
		byLine(child.stderr, line => {
			appendFileSync(folder.at('sallyport.log'), `${line}\n`);
			last = [...last.slice(-9), line];
			if (!line.includes('"msg":"sallyport is up"')) return;
			clearTimeout(timer);
			resolve();
		});
		void ended.then(code => {
			clearTimeout(timer);
			reject(failure(`Sallyport ended at once${code === null ? '' : ` with status ${code}`}:\n${last.join('\n')}`));
		});
	});
}

function byLine(stream: NodeJS.ReadableStream | null, each: (line: string) => void): void {
	let rest = '';
	stream?.setEncoding('utf8');
	stream?.on('data', (text: string) => {
		const lines = (rest + text).split('\n');
		rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
		for (const line of lines) each(line);
	});
}
