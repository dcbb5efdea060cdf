import type { TraceParent } from '../model/ports.ts';

/** The field by which a trace goes on (W3C Trace Context §3.2). */
export const TRACEPARENT = 'traceparent';
/** What vendors add to it (§3.3). */
export const TRACESTATE = 'tracestate';

const FIELD = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** Strictly: undefined for what is to be treated as if it were not there (§3.2.2, §4.3). */
export function parseTraceparent(text: string): TraceParent | undefined {
	if (text.length > 512) return undefined;
	const match = FIELD.exec(text);
	if (match === null) return undefined;
	const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
	// Only later versions may have more behind the flags; ff is none.
	if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
	if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
	return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Of version 00. */
export const traceparentOf = ({ traceId, spanId, sampled }: TraceParent): string =>
	`00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
