import type { IncomingMessage } from 'node:http';
import { scanJson } from '../../formats/json.ts';
import type { Body } from '../../protocols/http/section.ts';

/** Bodies up to this length are taken whole before they are forwarded: one packet instead of a stream. */
export const SMALL_BODY = 64 * 1024;

export type Collected =
	| { readonly kind: 'whole'; readonly data: Buffer }
	/** Longer than allowed: what was read was put back, the request can be streamed. */
	| { readonly kind: 'too_large' }
	| { readonly kind: 'aborted' };

/** Reads a request's body up to `limit` bytes. `done` runs once. */
export function collectBody(request: IncomingMessage, limit: number, done: (result: Collected) => void): void {
	let first: Buffer | undefined;
	let chunks: Buffer[] | undefined;
	let size = 0;
	const stop = (result: Collected): void => {
		request.removeListener('data', onData);
		request.removeListener('end', onEnd);
		request.removeListener('close', onClose);
		done(result);
	};
	const onData = (chunk: Buffer): void => {
		size += chunk.length;
		if (first === undefined) first = chunk;
		else {
			chunks ??= [first];
			chunks.push(chunk);
		}
		if (size <= limit) return;
		request.pause();
		request.removeListener('data', onData);
		request.unshift(chunks === undefined ? first : Buffer.concat(chunks));
		stop({ kind: 'too_large' });
	};
	const onEnd = (): void =>
		stop({ kind: 'whole', data: chunks === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(chunks) });
	const onClose = (): void => stop({ kind: 'aborted' });
	request.on('data', onData);
	request.once('end', onEnd);
	request.once('close', onClose);
}

// Another charset than UTF-8 (RFC 8259 §8.1) would be another text to an upstream that goes by it.
const JSON_TYPE = /^application\/(?:[a-z0-9!#$&^_.+-]+\+)?json\s*(?:;\s*charset=(?:utf-8|"utf-8")\s*)?;?\s*$/i;

/** What policy can be given of a body that was read: the original text where it is strict JSON. */
export function bodyForPolicy(
	data: Buffer,
	contentType: string | undefined,
	contentEncoding: string | undefined,
): Body {
	if (data.length === 0) return { state: 'none' };
	if (contentEncoding !== undefined && contentEncoding.trim().toLowerCase() !== 'identity') return { state: 'encoded' };
	if (contentType === undefined || !JSON_TYPE.test(contentType)) return { state: 'unparsed' };
	return scanJson(data) === undefined ? { state: 'whole', text: data.toString('utf8') } : { state: 'unparsed' };
}
