import { styleText } from 'node:util';

/** Where a command writes; handed in so that tests can read it. */
export interface Terminal {
	/** What was asked for. */
	out(text: string): void;
	/** What is said beside it: mistakes, hints. */
	err(text: string): void;
	/** Whether a person reads `out`. */
	readonly person: boolean;
	/** Colours where a terminal shows them; the text as it is elsewhere, and where NO_COLOR is set. */
	paint(colour: Colour, text: string): string;
}

export type Colour = 'green' | 'red' | 'yellow' | 'dim' | 'bold';

/** Exit statuses of every command. */
export const DONE = 0;
export const FAILURE = 1;
export const MISTAKE = 2;

export function processTerminal(): Terminal {
	const { stdout, stderr } = process;
	return {
		out: text => stdout.write(text),
		err: text => stderr.write(text),
		person: stdout.isTTY === true,
		// Asks the stream and NO_COLOR, NODE_DISABLE_COLORS and FORCE_COLOR.
		paint: (colour, text) => styleText(colour, text, { stream: stdout }),
	};
}

/** Something that ends a command, said in words. */
export class Failure extends Error {
	readonly status: typeof FAILURE | typeof MISTAKE;

	constructor(status: typeof FAILURE | typeof MISTAKE, message: string) {
		super(message);
		this.status = status;
	}
}

export const failure = (message: string): Failure => new Failure(FAILURE, message);
/** What the caller can mend. */
export const mistake = (message: string): Failure => new Failure(MISTAKE, message);

/** Runs a command's body and sets the exit status: what it returns, or what ended it. */
export async function settle(terminal: Terminal, run: () => Promise<number> | number): Promise<void> {
	try {
		process.exitCode = await run();
	} catch (error) {
		terminal.err(`error: ${visible(error instanceof Error ? error.message : String(error))}\n`);
		process.exitCode = error instanceof Failure ? error.status : FAILURE;
	}
}

/** The end of a command's --help; Commander ends the last line. */
export const example = (...lines: readonly string[]): string =>
	`\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}`;

/** RFC 3339 in UTC, whole seconds. */
export const timeText = (milliseconds: number): string => new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');

export const jsonLine = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** What a terminal would act on, and what turns text around. Line feeds stay. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text of somebody else's that is safe to show. */
export const visible = (text: string): string =>
	text.replace(UNSAFE, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Columns side by side; each as wide as its widest cell, the last as it is. Cells are shown as plain text. */
export function table(rows: readonly (readonly string[])[], indent = ''): string {
	const cells = rows.map(row => row.map(cell => visible(cell).replaceAll('\n', ' ')));
	const widths: number[] = [];
	for (const row of cells) {
		for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
	}
	return cells
		.map(row => `${`${indent}${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd()}\n`)
		.join('');
}
