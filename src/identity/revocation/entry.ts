import type { Broken } from '../trust.ts';
import { readSubject, type Subject } from './subject.ts';

/** One revocation. Immutable. */
export interface Revocation extends Subject {
	/** Why, for operators: no agent is told. */
	readonly reason: string;
	/** Who revoked: `uid:1000`, a SPIFFE ID, or what the signer of a list wrote. */
	readonly operator: string;
	/** Milliseconds since the epoch. */
	readonly since: number;
	/** When it ends by itself; never, when absent. */
	readonly until?: number;
}

/** As JSON, in the state, in signed lists and in the control API. */
export interface RevocationJson {
	readonly what: string;
	readonly reason: string;
	readonly operator: string;
	/** RFC 3339, UTC. */
	readonly since: string;
	readonly until?: string;
}

/** UTF-16 units. */
const MAX_REASON = 1024;
const MAX_OPERATOR = 2048;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
const MEMBERS: ReadonlySet<string> = new Set(['what', 'reason', 'operator', 'since', 'until']);

export const revocationJson = ({ what, reason, operator, since, until }: Revocation): RevocationJson => ({
	what,
	reason,
	operator,
	since: new Date(since).toISOString(),
	...(until === undefined ? {} : { until: new Date(until).toISOString() }),
});

/** Why a text is no reason; undefined when it is one. */
export function reasonProblem(reason: unknown): string | undefined {
	if (typeof reason !== 'string' || reason.trim() === '') return 'it has no reason';
	return reason.length > MAX_REASON ? `its reason is longer than ${MAX_REASON} characters` : undefined;
}

/** Reads one. A member that is not known may change the meaning of the others, and so breaks it. */
export function readRevocation(value: unknown): Revocation | Broken {
	if (typeof value !== 'object' || value === null || Array.isArray(value)) return { broken: 'it is no JSON object' };
	const unknown = Object.keys(value).find(key => !MEMBERS.has(key));
	if (unknown !== undefined) return { broken: `${JSON.stringify(unknown.slice(0, 64))} is not known` };
	const { what, reason, operator, since, until }: Readonly<Record<string, unknown>> = { ...value };
	if (typeof what !== 'string') return { broken: 'it does not say what is revoked' };
	const subject = readSubject(what);
	if ('broken' in subject) return subject;
	const problem = reasonProblem(reason);
	if (problem !== undefined || typeof reason !== 'string') return { broken: problem ?? '' };
	if (typeof operator !== 'string' || operator.length > MAX_OPERATOR) return { broken: 'it has no operator' };
	const begun = readTime(since);
	if (begun === undefined) return { broken: '`since` is no time in RFC 3339, UTC' };
	const end = until === undefined ? undefined : readTime(until);
	if (until !== undefined && end === undefined) return { broken: '`until` is no time in RFC 3339, UTC' };
	return { ...subject, reason, operator, since: begun, ...(end === undefined ? {} : { until: end }) };
}

/** Milliseconds since the epoch. */
export function readTime(value: unknown): number | undefined {
	if (typeof value !== 'string' || !TIME.test(value)) return undefined;
	const time = Date.parse(value);
	return Number.isFinite(time) ? time : undefined;
}
