import { parseTraceparent, TRACEPARENT, TRACESTATE } from '../../formats/traceparent.ts';
import type { Trace, TraceParent, Tracing } from '../../model/ports.ts';

/**
 * Begins the span of a request and names it as the parent of what the upstream does: before policy sees the fields, so that
 * it judges what goes out. A parent that is none, or stands there twice, begins a trace of its own, and what vendors added
 * to it goes with it (W3C Trace Context §4.3).
 */
export function continueTrace(headers: string[], tracing: Tracing): Trace {
	const parsed = parentOf(headers);
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

/** The one parent that the fields name; undefined when it is none, or one of two. */
export function parentOf(fields: readonly string[]): TraceParent | undefined {
	let parent: string | undefined;
	let count = 0;
	for (let index = 0; index + 1 < fields.length; index += 2) {
		const name = fields[index] as string;
		if (name.length !== TRACEPARENT.length || name.toLowerCase() !== TRACEPARENT) continue;
		parent = fields[index + 1];
		count++;
	}
	return count === 1 && parent !== undefined ? parseTraceparent(parent) : undefined;
}
