import { join } from 'node:path';
import { type LineHead, lineHead, readLinesIfThere } from './reader.ts';
import { listSegments } from './segment.ts';

/** A record as read; its form is docs/audit.md, but what is in a file is not trusted to have it. */
export type ReadRecord = Readonly<Record<string, unknown>>;

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
	readonly decision?: string;
	/** The last so many are kept. */
	readonly limit: number;
}

/** A decision with how it ended. `outcome` is missing for refused calls, and for those that go on or were cut off. */
export interface Row {
	readonly decision: ReadRecord;
	outcome?: ReadRecord;
}

export interface Answer {
	readonly rows: readonly Row[];
	/** Decisions that fit beyond `limit`, all of them earlier. */
	readonly more: number;
}

/**
 * Decisions that fit, in the order of the chain, joined with their outcomes. Keeps `limit` of them in memory.
 */
export async function queryDirectory(directory: string, question: Question): Promise<Answer> {
	const rows = new Map<string, Row>();
	let more = 0;
	let row = 0;
	for (const segment of await listSegments(directory)) {
		await readLinesIfThere(join(directory, segment.name), line => {
			const head = lineHead(line);
			if (head?.decisionId === undefined) return undefined;
			if (head.type === 'outcome') {
				const found = rows.get(head.decisionId);
				if (found !== undefined) found.outcome = parseRecord(line) ?? {};
			} else if (head.type === 'decision' && mayFit(head, question)) {
				const decision = parseRecord(line);
				if (decision === undefined || !fits(decision, question)) return undefined;
				// A decision of the phase `response` has the id of none other, so an id that comes again is a copy.
				rows.set(rows.has(head.decisionId) ? `${head.decisionId} ${row++}` : head.decisionId, { decision });
				// A cause may be the outcome's, which is not known yet: then more are kept for now.
				if (rows.size > keep(question)) {
					const first = rows.keys().next();
					if (first.done !== true) rows.delete(first.value);
					more++;
				}
			}
			return undefined;
		});
	}
	const found = [...rows.values()].filter(({ decision, outcome }) => hasCause(question, decision, outcome));
	return { rows: found.slice(-question.limit), more: more + Math.max(0, found.length - question.limit) };
}

/** Rows that are kept when it takes the outcome to know whether one fits. */
const UNDECIDED = 100_000;

const keep = ({ cause, limit }: Question): number => (cause === undefined ? limit : Math.max(limit, UNDECIDED));

function mayFit(head: LineHead, question: Question): boolean {
	if (question.decision !== undefined && head.decisionId !== question.decision) return false;
	if (question.verdict !== undefined && head.verdict !== question.verdict) return false;
	if (question.since === undefined && question.until === undefined) return true;
	const time = Date.parse(head.timestamp);
	return time >= (question.since ?? time) && time < (question.until ?? Number.POSITIVE_INFINITY);
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

const hasCause = ({ cause }: Question, decision: ReadRecord, outcome: ReadRecord | undefined): boolean =>
	cause === undefined || decision.cause === cause || outcome?.cause === cause;

export function parseRecord(line: Buffer): ReadRecord | undefined {
	try {
		return objectOf(JSON.parse(line.toString()));
	} catch {
		return undefined;
	}
}

export const objectOf = (value: unknown): ReadRecord | undefined =>
	typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ReadRecord) : undefined;

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
