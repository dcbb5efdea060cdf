import { join } from 'node:path';
import { chainsOf } from './chains.ts';
import { objectOf, parseRecord, type ReadRecord, textOf } from './read-record.ts';
import { type LineHead, lineHead, readLinesIfThere } from './reader.ts';
import { listSegments } from './segment.ts';

/** Which decisions are asked for; every condition that is given must hold. */
export interface Question {
	/** A SPIFFE ID, the last part of one, or a pattern's leading part ending in `*`. */
	readonly agent?: string;
	/** An upstream's name, a host, or HOST:PORT. */
	readonly target?: string;
	/** Milliseconds since the epoch; `since` is included, `until` is not. */
	readonly since?: number;
	readonly until?: number;
	readonly verdict?: string;
	/** Of the decision or of its outcome. */
	readonly cause?: string;
	/** An id, or how it begins. */
	readonly decision?: string;
	/** The last so many are kept. */
	readonly limit: number;
}

/** A decision with how it ended. `outcome` is missing for refused calls, and for those that go on or were cut off. */
export interface DecisionRow {
	readonly decision: ReadRecord;
	outcome?: ReadRecord;
}

/** Connections that were refused before there was a call. */
export interface SessionRow {
	readonly session: ReadRecord;
}

export type Row = DecisionRow | SessionRow;

export interface Answer {
	readonly rows: readonly Row[];
	/** Rows that fit beyond `limit`, all of them earlier. */
	readonly more: number;
	/** Records of any kind that were read. */
	readonly records: number;
	/** Whether they are of several chains. */
	readonly several: boolean;
}

/**
 * Decisions that fit, joined with their outcomes, and refused connections that fit: in the order of the chain, or by time
 * where the directory holds the chains of several Sallyports. Keeps `limit` of them in memory. Throws when the directory
 * cannot be read.
 */
export async function queryDirectory(directory: string, question: Question): Promise<Answer> {
	const chains = await chainsOf(directory);
	let all: Omit<Answer, 'several'> = { rows: [], more: 0, records: 0 };
	for (const chain of chains) {
		const { rows, more, records } = await queryChain(chain, question);
		const together = chains.length === 1 ? rows : [...all.rows, ...rows].sort(byTime);
		const shown = together.slice(-question.limit);
		all = { rows: shown, more: all.more + more + together.length - shown.length, records: all.records + records };
	}
	return { ...all, several: chains.length > 1 };
}

const timeOf = (row: Row): string => textOf(('session' in row ? row.session : row.decision).timestamp) ?? '';

/** Stable: records of one chain stay in its order. */
const byTime = (a: Row, b: Row): number => (timeOf(a) < timeOf(b) ? -1 : timeOf(a) > timeOf(b) ? 1 : 0);

async function queryChain(directory: string, question: Question): Promise<Omit<Answer, 'several'>> {
	const rows = new Map<string, Row>();
	let more = 0;
	let records = 0;
	const add = (key: string, row: Row): void => {
		// A decision of the phase `response` has the id of none other, so an id that comes again is a copy.
		rows.set(rows.has(key) ? `${key} ${records}` : key, row);
		// A cause may be the outcome's, which is not known yet: then more are kept for now.
		if (rows.size <= keep(question)) return;
		const first = rows.keys().next();
		if (first.done !== true) rows.delete(first.value);
		more++;
	};
	for (const segment of await listSegments(directory)) {
		await readLinesIfThere(join(directory, segment.name), line => {
			const head = lineHead(line);
			if (head === undefined) return undefined;
			records++;
			if (head.type === 'outcome') {
				const found = rows.get(head.decisionId ?? '');
				if (found !== undefined && 'decision' in found) found.outcome = parseRecord(line) ?? {};
			} else if (head.type === 'decision' && head.decisionId !== undefined && mayFit(head, question)) {
				const decision = parseRecord(line);
				if (decision !== undefined && fits(decision, question)) add(head.decisionId, { decision });
			} else if (head.type === 'session' && isOfConnections(question) && inTime(head, question)) {
				const session = parseRecord(line);
				if (session !== undefined) add(`session ${head.seq}`, { session });
			}
			return undefined;
		});
	}
	const found = [...rows.values()].filter(row => hasCause(question, row));
	const shown = question.limit === 0 ? [] : found.slice(-question.limit);
	return { rows: shown, more: more + found.length - shown.length, records };
}

/** Whether connections on which nobody was identified can be the answer. */
const isOfConnections = ({ agent, target, decision, verdict }: Question): boolean =>
	agent === undefined &&
	target === undefined &&
	decision === undefined &&
	(verdict === undefined || verdict === 'deny');

/** Rows that are kept when it takes the outcome to know whether one fits. */
const UNDECIDED = 100_000;

const keep = ({ cause, limit }: Question): number => (cause === undefined ? limit : Math.max(limit, UNDECIDED));

function mayFit(head: LineHead, question: Question): boolean {
	if (question.decision !== undefined && head.decisionId?.startsWith(question.decision) !== true) return false;
	if (question.verdict !== undefined && head.verdict !== question.verdict) return false;
	return inTime(head, question);
}

function inTime(head: LineHead, { since, until }: Question): boolean {
	if (since === undefined && until === undefined) return true;
	const time = Date.parse(head.timestamp);
	return time >= (since ?? time) && time < (until ?? Number.POSITIVE_INFINITY);
}

function fits(record: ReadRecord, { agent, target }: Question): boolean {
	const call = objectOf(record.call);
	if (agent !== undefined && !isAgent(textOf(call?.agent) ?? '', agent)) return false;
	if (target === undefined) return true;
	const { name, host, port } = objectOf(call?.target) ?? {};
	return target === name || target === host || target === `${String(host)}:${String(port)}`;
}

function isAgent(id: string, wanted: string): boolean {
	if (wanted.endsWith('*')) return id.startsWith(wanted.replace(/\*+$/, ''));
	return id === wanted || (!wanted.includes('/') && id.endsWith(`/${wanted}`));
}

function hasCause({ cause }: Question, row: Row): boolean {
	if (cause === undefined) return true;
	if ('session' in row) return row.session.cause === cause;
	return row.decision.cause === cause || row.outcome?.cause === cause;
}
