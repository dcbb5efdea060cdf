import { createHash, hash, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readCheckpoint } from './checkpoint.ts';
import { lineHead, opensCall, readLines } from './reader.ts';
import { listSegments, type Segment } from './segment.ts';
import { GENESIS, type Head } from './spool.ts';

/** How many segments are read for decisions without an outcome when the ends of segments do not name them. */
const SEGMENTS_SCANNED = 4;

/** What was wrong with the chain that a run found; becomes a record of type `gap`. */
export interface Damage {
	/** `torn`: bytes after the last whole record, now removed. `broken`: a link that does not hold, left as it is. */
	readonly reason: 'torn' | 'broken';
	readonly segment: string;
	/** Where in the segment. */
	readonly offset: number;
	/** Only for `torn`. */
	readonly bytes?: number;
	readonly sha256?: string;
}

/** A directory as a run finds it, torn tail repaired. */
export interface Start {
	readonly head: Head;
	/** No record was there before: the chain begins. */
	readonly fresh: boolean;
	readonly segments: readonly Segment[];
	readonly damage: readonly Damage[];
	/** Ids of decisions of the runs before that have no outcome. */
	readonly open: ReadonlySet<string>;
}

/** Makes the directory if need be. The lock must be held. */
export async function readDirectory(directory: string): Promise<Start> {
	const segments = await listSegments(directory);
	const damage: Damage[] = [];
	const open = new Set<string>();
	const ended = new Set<string>();
	let head: Head | undefined;
	let following: Scan | undefined;
	for (let i = segments.length - 1; i >= 0; i--) {
		const segment = segments[i];
		if (segment === undefined) break;
		const scanned = segments.length - 1 - i;
		if (head !== undefined) {
			// An end that names what is open saves reading the segment.
			const end = await lastLine(directory, segment);
			if (end !== undefined && following !== undefined && following.firstPrev !== hash('sha256', end, 'hex')) {
				damage.push({ reason: 'broken', segment: segments[i + 1]?.name ?? segment.name, offset: 0 });
			}
			const checkpoint = end === undefined ? undefined : readCheckpoint(end);
			if (checkpoint !== undefined && checkpoint.signature !== 'invalid') {
				for (const id of checkpoint.open) if (!ended.has(id)) open.add(id);
				break;
			}
			if (scanned >= SEGMENTS_SCANNED) break;
		}
		const scan = await scanSegment(directory, segment);
		if (head === undefined) {
			if (scan.end < segment.bytes) damage.push(await cut(directory, segment, scan.end));
			if (scan.last !== undefined) head = scan.last;
		}
		for (const offset of scan.broken) damage.push({ reason: 'broken', segment: segment.name, offset });
		for (const id of scan.ended) ended.add(id);
		for (const id of scan.open) if (!ended.has(id)) open.add(id);
		if (scan.last !== undefined) {
			segment.begun = scan.begun;
			segment.ended = scan.latest;
			following = scan;
		}
	}
	const fresh = head === undefined;
	return {
		head: head ?? { chain: randomUUID(), seq: (segments[0]?.first ?? 1) - 1, hash: GENESIS },
		fresh,
		segments,
		damage,
		open,
	};
}

interface Scan {
	/** After the last record. */
	readonly end: number;
	readonly last: Head | undefined;
	readonly firstPrev: string;
	readonly broken: readonly number[];
	readonly open: ReadonlySet<string>;
	/** Decisions of which an outcome was seen. */
	readonly ended: ReadonlySet<string>;
	readonly begun: number;
	readonly latest: number;
}

async function scanSegment(directory: string, segment: Segment): Promise<Scan> {
	const open = new Set<string>();
	const ended = new Set<string>();
	const broken: number[] = [];
	let unread: number | undefined;
	let last: Head | undefined;
	let firstPrev = '';
	let end = 0;
	let begun = '';
	let latest = '';
	await readLines(join(directory, segment.name), (line, offset) => {
		const head = lineHead(line);
		if (head === undefined) {
			unread ??= offset;
			return undefined;
		}
		const follows = last === undefined || (head.seq === last.seq + 1 && head.prev === last.hash);
		if (unread !== undefined || !follows) broken.push(unread ?? offset);
		unread = undefined;
		if (last === undefined) {
			firstPrev = head.prev;
			begun = head.timestamp;
		}
		latest = head.timestamp;
		last = { chain: head.chain, seq: head.seq, hash: hash('sha256', line, 'hex') };
		end = offset + line.length + 1;
		if (head.decisionId !== undefined) {
			if (opensCall(head)) open.add(head.decisionId);
			else if (head.type === 'outcome') {
				open.delete(head.decisionId);
				ended.add(head.decisionId);
			}
		}
		return undefined;
	});
	return { end, last, firstPrev, broken, open, ended, begun: time(begun), latest: time(latest) };
}

const time = (timestamp: string): number => Date.parse(timestamp) || 0;

/** Removes what comes after the last record of a segment, and says what it was. */
async function cut(directory: string, segment: Segment, end: number): Promise<Damage> {
	const path = join(directory, segment.name);
	const removed = createHash('sha256');
	const file = await open(path, 'r');
	try {
		for await (const chunk of file.createReadStream({ start: end, autoClose: false })) removed.update(chunk);
	} finally {
		await file.close();
	}
	await truncate(path, end);
	const bytes = segment.bytes - end;
	segment.bytes = end;
	return { reason: 'torn', segment: segment.name, offset: end, bytes, sha256: removed.digest('hex') };
}

/** The last whole line of a segment, without its line feed. */
async function lastLine(directory: string, segment: Segment): Promise<Buffer | undefined> {
	const file = await open(join(directory, segment.name), 'r');
	try {
		for (let length = Math.min(64 * 1024, segment.bytes); length > 0; ) {
			const tail = Buffer.alloc(length);
			await file.read(tail, 0, length, segment.bytes - length);
			if (tail[length - 1] !== 10) return undefined;
			const before = length === 1 ? -1 : tail.lastIndexOf(10, length - 2);
			if (before !== -1 || length === segment.bytes) return tail.subarray(before + 1, length - 1);
			length = Math.min(length * 2, segment.bytes);
		}
		return undefined;
	} finally {
		await file.close();
	}
}

/** Makes the directory, for its owner and group only. */
export async function makeDirectory(directory: string): Promise<void> {
	await mkdir(directory, { recursive: true, mode: 0o750 });
}

/** The salt of the directory's digests; made at the first start. It is in no record and goes to no sink. */
export async function readSalt(directory: string): Promise<string> {
	const path = join(directory, 'salt');
	try {
		await writeFile(path, `${randomBytes(32).toString('hex')}\n`, { flag: 'wx', mode: 0o600 });
	} catch (error) {
		if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
	}
	const salt = (await readFile(path, 'utf8')).trim();
	if (!/^[0-9a-f]{64}$/.test(salt)) throw new Error(`${path} is not a salt: 64 hexadecimal digits are expected`);
	return salt;
}
