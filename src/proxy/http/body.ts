import { scanJson } from '../../formats/json.ts';
import type { Body } from '../../protocols/http/section.ts';
import type { BodySource, BodyTaker } from '../upstream/http-connection.ts';
import type { AgentRequest } from './request.ts';

/** Bodies up to this length are taken whole before they are forwarded: one packet instead of a stream. */
export const SMALL_BODY = 64 * 1024;

export type Collected =
	| { readonly kind: 'whole'; readonly data: Buffer }
	/** Longer than allowed: what was read, and a body that goes on behind it. */
	| { readonly kind: 'too_large'; readonly source: BodySource }
	| { readonly kind: 'aborted' };

/** Reads a request's body up to `limit` bytes. `done` runs once. */
export function collectBody(request: AgentRequest, limit: number, done: (result: Collected) => void): void {
	const chunks: Buffer[] = [];
	let size = 0;
	let over = false;
	const stop = (result: Collected): void => {
		if (over) return;
		over = true;
		done(result);
	};
	request.read({
		data: part => {
			size += part.length;
			chunks.push(part);
			if (size <= limit || over) return;
			request.pause();
			stop({ kind: 'too_large', source: new Resumed(chunks, request) });
		},
		end: () => stop({ kind: 'whole', data: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks) }),
		aborted: () => stop({ kind: 'aborted' }),
	});
}

/** A body of which a part was read already. */
class Resumed implements BodySource {
	readonly #read: Buffer[];
	readonly #request: AgentRequest;

	constructor(read: Buffer[], request: AgentRequest) {
		this.#read = read;
		this.#request = request;
	}

	read(taker: BodyTaker): void {
		for (const part of this.#read.splice(0)) taker.data(part);
		this.#request.read(taker);
	}

	pause(): void {
		this.#request.pause();
	}

	resume(): void {
		this.#request.resume();
	}
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
