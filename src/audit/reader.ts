import { open } from 'node:fs/promises';

/** Longest line that is read as a record. Sallyport writes none that is longer. */
export const LONGEST_LINE = 32 * 1024 * 1024;

const CHUNK = 256 * 1024;
const LF = 10;

export interface ReadOptions {
	/** Where to begin; the start of a line. */
	readonly from?: number;
	/** Where to stop although the file goes on. */
	readonly to?: number;
}

export interface ReadEnd {
	/** After the last whole line that was given. */
	readonly offset: number;
	/** Bytes after it that no line feed ends. */
	readonly rest: number;
	/** A line passed LONGEST_LINE: nothing after `offset` was read. */
	readonly overlong: boolean;
}

/**
 * Streams the whole lines of a file. A line comes without its line feed and is valid only during the call; `false` stops
 * after it.
 */
export async function readLines(
	path: string,
	onLine: (line: Buffer, offset: number) => false | undefined,
	options: ReadOptions = {},
): Promise<ReadEnd> {
	const file = await open(path, 'r');
	try {
		let buffer = Buffer.allocUnsafe(CHUNK);
		let offset = options.from ?? 0;
		let kept = 0;
		for (;;) {
			const room = Math.min(buffer.length - kept, (options.to ?? Number.POSITIVE_INFINITY) - offset - kept);
			const { bytesRead } = room > 0 ? await file.read(buffer, kept, room, offset + kept) : { bytesRead: 0 };
			if (bytesRead === 0) return { offset, rest: kept, overlong: false };
			const end = kept + bytesRead;
			let at = 0;
			for (let lf = buffer.indexOf(LF, kept); lf !== -1 && lf < end; lf = buffer.indexOf(LF, at)) {
				const go = onLine(buffer.subarray(at, lf), offset + at);
				at = lf + 1;
				if (go === false) return { offset: offset + at, rest: 0, overlong: false };
			}
			kept = end - at;
			offset += at;
			if (kept === buffer.length) {
				if (kept >= LONGEST_LINE) return { offset, rest: kept, overlong: true };
				const larger = Buffer.allocUnsafe(buffer.length * 2);
				buffer.copy(larger, 0, 0, kept);
				buffer = larger;
			} else if (at > 0) buffer.copy(buffer, 0, at, end);
		}
	} finally {
		await file.close();
	}
}

/** As `readLines`, for a file that retention may delete meanwhile: then it counts as empty. */
export async function readLinesIfThere(
	path: string,
	onLine: (line: Buffer, offset: number) => false | undefined,
	options: ReadOptions = {},
): Promise<ReadEnd> {
	try {
		return await readLines(path, onLine, options);
	} catch (error) {
		if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
		return { offset: 0, rest: 0, overlong: false };
	}
}

/** How every record begins. */
export interface LineHead {
	readonly type: string;
	readonly chain: string;
	readonly seq: number;
	readonly prev: string;
	readonly timestamp: string;
	readonly decisionId: string | undefined;
	/** Of decisions only. */
	readonly verdict: string | undefined;
	readonly phase: string | undefined;
}

const HEAD =
	/^\{"type":"([a-z]+)","chain":"([0-9a-f-]{1,64})","seq":(\d{1,16}),"prev":"([0-9a-f]{64})","timestamp":"([0-9TZ:.-]{20,40})","instance":"(?:[^"\\]|\\.){0,1024}"(?:,"decision_id":"([^"\\]{1,128})"(?:,"verdict":"(\w{1,16})","path":"sallyport\/(?:inbound\/)?(\w{1,16})")?)?/;

/** Reads how a line begins without parsing the rest; undefined when it is not how Sallyport begins one. */
export function lineHead(line: Buffer): LineHead | undefined {
	if (line[line.length - 1] !== 0x7d /* } */) return undefined;
	const match = HEAD.exec(line.toString('latin1', 0, Math.min(line.length, 2048)));
	if (match === null) return undefined;
	const [, type = '', chain = '', seq = '', prev = '', timestamp = '', decisionId, verdict, phase] = match;
	return { type, chain, seq: Number(seq), prev, timestamp, decisionId, verdict, phase };
}

/** Whether a decision waits for an outcome: calls and sessions that were allowed. */
export const opensCall = (head: LineHead): boolean =>
	head.type === 'decision' && head.verdict === 'allow' && head.phase !== 'response';
