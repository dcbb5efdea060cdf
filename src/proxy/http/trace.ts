import { parseTraceparent, TRACEPARENT, TRACESTATE } from '../../formats/traceparent.ts';
import type { Trace, Tracing } from '../../model/ports.ts';

/**
 * Begins the span of a request and names it as the parent of what the upstream does: before policy sees the fields, so that
 * it judges what goes out. A parent that is none, or stands there twice, begins a trace of its own, and what vendors added
 * to it goes with it (W3C Trace Context §4.3).
 */
export function continueTrace(headers: string[], tracing: Tracing): Trace {
	let parent: string | undefined;
	let count = 0;
	for (let index = 0; index + 1 < headers.length; index += 2) {
		if (headers[index] !== TRACEPARENT) continue;
		parent = headers[index + 1];
		count++;
	}
	const parsed = count === 1 && parent !== undefined ? parseTraceparent(parent) : undefined;
	const trace = tracing.begin(parsed);
	let kept = 0;
	for (let index = 0; index + 1 < headers.length; index += 2) {
		const name = headers[index] as string;
		if (name === TRACEPARENT || (name === TRACESTATE && parsed === undefined)) continue;
		headers[kept++] = name;
		headers[kept++] = headers[index + 1] as string;
	}
	headers.length = kept;
	headers.push(TRACEPARENT, trace.traceparent);
	return trace;
}
