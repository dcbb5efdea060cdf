import type { Framing } from './body-reader.ts';
import type { RawHead } from './head-reader.ts';
import { answeredHeaders, hasOption } from './headers.ts';

/** The head of an upstream's answer. */
export interface AnswerHead {
	readonly status: number;
	readonly phrase: string;
	/** End-to-end fields, names as they came. */
	readonly list: readonly string[];
	/** Undefined for an answer without a body. */
	readonly framing: Framing | undefined;
	/** Whether the connection may serve another request behind this answer. */
	readonly persistent: boolean;
	/** Seconds for which the upstream keeps an idle connection, where it says so. */
	readonly keepAlive: number | undefined;
}

// RFC 9112 §4; servers leave out the space before an empty phrase.
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;

/** Reads the head of an answer to a request with this method, and how its body ends (RFC 9112 §6.3). */
export function readAnswerHead(
	{ startLine, fields }: RawHead,
	method: string,
): AnswerHead | { readonly unreadable: string } {
	const match = STATUS_LINE.exec(startLine);
	if (match === null) return { unreadable: 'the status line is malformed' };
	const status = Number(match[2]);
	const { list, length, chunked, ambiguous, connection, keepAlive } = answeredHeaders(fields);
	const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304;
	if (ambiguous && status >= 200) return { unreadable: 'the length of the answer has more than one reading' };
	const old = match[1] === '0';
	if (old && chunked) return { unreadable: 'an HTTP/1.0 answer is chunked' };
	const framing: Framing | undefined = bodiless
		? undefined
		: chunked
			? { kind: 'chunked' }
			: length === undefined
				? { kind: 'close' }
				: { kind: 'length', length };
	const persistent =
		framing?.kind !== 'close' && (old ? hasOption(connection, 'keep-alive') : !hasOption(connection, 'close'));
	return { status, phrase: match[3] ?? '', list, framing, persistent, keepAlive };
}
