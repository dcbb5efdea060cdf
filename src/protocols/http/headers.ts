import { alikeName, NOT_FORWARDED } from '../../formats/field-name.ts';

/** Header fields: a flat list of names and values, in order, as they were sent. */
export type RawHeaders = readonly string[];

const NOT_ANSWERED = new Set([
	'connection',
	'keep-alive',
	'proxy-authenticate',
	'proxy-connection',
	// Sallyport's own; an upstream could make a refusal look like one of Sallyport's.
	'sallyport-decision-id',
	'trailer',
	'transfer-encoding',
	'upgrade',
]);

const NOT_TRAILING = new Set([
	'content-length',
	'content-encoding',
	'content-type',
	'content-range',
	'host',
	'te',
	'set-cookie',
	'www-authenticate',
	'authorization',
	'cache-control',
	'expect',
	'location',
	'age',
	'date',
	'expires',
	'vary',
	'retry-after',
	'warning',
]);

/** A length (RFC 9110 §8.6). */
const DIGITS = /^\d{1,15}$/;

/** Whether a Connection field holds this option, given in lower case (RFC 9110 §7.6.1). */
export const hasOption = (connection: string | undefined, option: string): boolean =>
	connection?.split(',').some(part => part.trim().toLowerCase() === option) === true;

/** Names that a Connection field nominates, lower case; they are for this hop only. */
function nominated(connection: string): Set<string> | undefined {
	let names: Set<string> | undefined;
	for (const part of connection.split(',')) {
		const name = part.trim().toLowerCase();
		if (name === '' || name === 'keep-alive' || name === 'close') continue;
		names ??= new Set();
		names.add(name);
	}
	return names;
}

/**
 * The end-to-end fields of a request, behind a Host of ours; names in lower case. Policy's input and the
 * upstream both get this list, so that they cannot differ.
 */
export function forwardedHeaders(raw: RawHeaders, host: string, connection: string | undefined): string[] {
	const also = connection === undefined ? undefined : nominated(connection);
	const list = ['host', host];
	for (let index = 0; index + 1 < raw.length; index += 2) {
		const name = (raw[index] as string).toLowerCase();
		if (NOT_FORWARDED.has(alikeName(name)) || also?.has(name)) continue;
		list.push(name, raw[index + 1] as string);
	}
	return list;
}

/** Fields of an answer: what goes on to the agent, and what is for this hop. */
export interface AnsweredFields {
	readonly list: string[];
	/** Declared length of the body. */
	readonly length: number | undefined;
	readonly chunked: boolean;
	/** True when the end of the body could be found in more than one way (RFC 9112 §6.3). */
	readonly ambiguous: boolean;
	/** The Connection field, lower case. */
	readonly connection: string | undefined;
	/** Seconds for which the upstream keeps an idle connection, where it says so. */
	readonly keepAlive: number | undefined;
}

/** The end-to-end fields of an answer, and how the end of its body is found. */
export function answeredHeaders(raw: RawHeaders): AnsweredFields {
	const list: string[] = [];
	let connection: string | undefined;
	let length: number | undefined;
	let keepAlive: number | undefined;
	let framings = 0;
	let chunked = false;
	for (let index = 0; index + 1 < raw.length; index += 2) {
		const name = raw[index] as string;
		const value = raw[index + 1] as string;
		const lower = name.toLowerCase();
		if (lower === 'connection')
			connection = connection === undefined ? value.toLowerCase() : `${connection},${value.toLowerCase()}`;
		else if (lower === 'transfer-encoding') {
			// Only chunked was offered: another coding would be taken off here and its bytes passed on as they are.
			chunked = value.toLowerCase() === 'chunked';
			framings += chunked ? 1 : 2;
		} else if (lower === 'content-length') {
			framings += DIGITS.test(value) ? 1 : 2;
			length = Number(value);
		} else if (lower === 'keep-alive')
			keepAlive = Number(/(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1] ?? 0) || undefined;
		if (NOT_ANSWERED.has(lower)) continue;
		list.push(name, value);
	}
	const ambiguous = framings > 1;
	const also = connection === undefined ? undefined : nominated(connection);
	if (also === undefined) return { list, length, chunked, ambiguous, connection, keepAlive };
	const kept: string[] = [];
	for (let index = 0; index + 1 < list.length; index += 2) {
		if (!also.has((list[index] as string).toLowerCase())) kept.push(list[index] as string, list[index + 1] as string);
	}
	return { list: kept, length, chunked, ambiguous, connection, keepAlive };
}

/** Whether a field may come behind a body: none that frames, routes or authenticates (RFC 9110 §6.5.1). */
export const mayTrail = (name: string): boolean =>
	!NOT_TRAILING.has(name.toLowerCase()) && !NOT_ANSWERED.has(name.toLowerCase());
