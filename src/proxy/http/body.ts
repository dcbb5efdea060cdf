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
	const gathered = new Gathered(limit);
	let over = false;
	const stop = (result: Collected): void => {
		if (over) return;
		over = true;
		done(result);
	};
	request.read({
		data: part => {
			if (over || gathered.add(part)) return;
			request.pause();
			stop({ kind: 'too_large', source: new Resumed([gathered.bytes, part], request) });
		},
		end: () => stop({ kind: 'whole', data: gathered.bytes }),
		aborted: () => stop({ kind: 'aborted' }),
	});
}

const NOTHING = Buffer.alloc(0);
const LEAST_ROOM = 4096;

/** Bytes that come in parts, copied into one piece: small parts would keep the large pieces of memory that they came in. */
class Gathered {
	readonly #limit: number;
	#room: Buffer = NOTHING;
	#size = 0;

	constructor(limit: number) {
		this.#limit = limit;
	}

	/** False, and nothing changes, when it would be more than the limit. */
	add(part: Buffer): boolean {
		const size = this.#size + part.length;
		if (size > this.#limit) return false;
		// Most come in one part, which is not copied.
		if (this.#size === 0) this.#room = part;
		else {
			if (size > this.#room.length) {
				const room = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(LEAST_ROOM, size * 2)));
				this.#room.copy(room, 0, 0, this.#size);
				this.#room = room;
			}
			part.copy(this.#room, this.#size);
		}
		this.#size = size;
		return true;
	}

	get bytes(): Buffer {
		return this.#room.subarray(0, this.#size);
	}
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
		for (const part of this.#read.splice(0)) if (part.length > 0) taker.data(part);
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
const JSON_TYPE = /^application\/(?:[a-z0-9!#$&^_.+-]+\+)?json(?:[\t ]*;[\t ]*charset=(?:utf-8|"utf-8"))?[\t ]*;?$/i;
/** No media type is longer; what an agent sends is matched against no pattern without a limit. */
const MAX_TYPE = 256;

/** What policy can be given of a body that was read: the original text where it is strict JSON. */
export function bodyForPolicy(
	data: Buffer,
	contentType: string | undefined,
	contentEncoding: string | undefined,
): Body {
	if (data.length === 0) return { state: 'none' };
	if (contentEncoding !== undefined && contentEncoding.trim().toLowerCase() !== 'identity') return { state: 'encoded' };
	if (contentType === undefined || contentType.length > MAX_TYPE || !JSON_TYPE.test(contentType))
		return { state: 'unparsed' };
	return scanJson(data) === undefined ? { state: 'whole', text: data.toString('utf8') } : { state: 'unparsed' };
}
