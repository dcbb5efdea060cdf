import { isIP } from 'node:net';
import { parseAuthority } from './request-target.ts';

/** What a TLS client says in the clear before anything else. */
export interface ClientHello {
	/** The host name of RFC 6066 §3: lower case, no trailing dot. A claim of the client's, nothing more. */
	readonly serverName?: string;
}

/** `more`: it goes on; `{broken}`: which rule was broken. */
export type HelloRead = ClientHello | 'more' | { readonly broken: string };

/** Handshake message and records together; one with post-quantum key shares has about 2 KiB. */
export const MAX_CLIENT_HELLO = 32 * 1024;

const RECORD_HEAD = 5;
const MESSAGE_HEAD = 4;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const MAX_RECORD = 2 ** 14;
/** It is read anew with every byte that comes: what is cut finer than anybody needs would be work without end. */
const MAX_RECORDS = 128;

const broken = (rule: string): { readonly broken: string } => ({ broken: rule });

/** The first message of TLS 1.0 to 1.3 (RFC 8446 §4.1.2, §5.1), which may be cut into several records. */
export function readClientHello(bytes: Buffer): HelloRead {
	const parts: Buffer[] = [];
	let have = 0;
	let wanted = MESSAGE_HEAD;
	for (let at = 0; have < wanted; ) {
		if (at + RECORD_HEAD > bytes.length) return within(bytes);
		if (bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3) return broken('a record that is no handshake');
		if (parts.length === MAX_RECORDS) return broken('the ClientHello is cut into too many records');
		const length = bytes.readUInt16BE(at + 3);
		if (length === 0 || length > MAX_RECORD) return broken('a record of a length that there is not');
		const part = bytes.subarray(at + RECORD_HEAD, at + RECORD_HEAD + length);
		parts.push(part);
		have += part.length;
		if (wanted === MESSAGE_HEAD && have >= MESSAGE_HEAD) {
			const head = Buffer.concat(parts);
			if (head[0] !== CLIENT_HELLO) return broken('the first message is no ClientHello');
			wanted += head.readUIntBE(1, 3);
			if (wanted > MAX_CLIENT_HELLO) return broken('the ClientHello is too long');
		}
		if (part.length < length && have < wanted) return within(bytes);
		at += RECORD_HEAD + length;
	}
	return readMessage(Buffer.concat(parts).subarray(MESSAGE_HEAD, wanted));
}

const within = (bytes: Buffer): HelloRead =>
	bytes.length > MAX_CLIENT_HELLO ? broken('the ClientHello is too long') : 'more';

/** Lengths in front of what they are the length of; undefined beyond the end. */
class Reader {
	readonly #bytes: Buffer;
	#at = 0;

	constructor(bytes: Buffer) {
		this.#bytes = bytes;
	}

	get over(): boolean {
		return this.#at === this.#bytes.length;
	}

	number(size: number): number | undefined {
		if (this.#at + size > this.#bytes.length) return undefined;
		this.#at += size;
		return this.#bytes.readUIntBE(this.#at - size, size);
	}

	bytes(length: number | undefined): Buffer | undefined {
		if (length === undefined || this.#at + length > this.#bytes.length) return undefined;
		this.#at += length;
		return this.#bytes.subarray(this.#at - length, this.#at);
	}
}

const VERSION_AND_RANDOM = 34;

function readMessage(message: Buffer): HelloRead {
	const reader = new Reader(message);
	const cut = broken('the ClientHello is malformed');
	if (reader.bytes(VERSION_AND_RANDOM) === undefined) return cut;
	// Session id, cipher suites, compression methods.
	for (const size of [1, 2, 1]) if (reader.bytes(reader.number(size)) === undefined) return cut;
	if (reader.over) return {};
	const extensions = reader.bytes(reader.number(2));
	if (extensions === undefined || !reader.over) return cut;
	const list = new Reader(extensions);
	const met = new Set<number>();
	let hello: ClientHello = {};
	while (!list.over) {
		const type = list.number(2);
		const data = list.bytes(list.number(2));
		if (type === undefined || data === undefined) return cut;
		// RFC 8446 §4.2; two servers could each take another one.
		if (met.has(type)) return broken('an extension stands there twice');
		met.add(type);
		if (type !== SERVER_NAME) continue;
		const name = readServerName(data);
		if (typeof name !== 'string') return name;
		hello = { serverName: name };
	}
	return hello;
}

/** RFC 6066 §3: one name of type host_name, which is no address. */
function readServerName(data: Buffer): string | { readonly broken: string } {
	const reader = new Reader(data);
	const list = reader.bytes(reader.number(2));
	if (list === undefined || !reader.over) return broken('the server name is malformed');
	const entry = new Reader(list);
	const type = entry.number(1);
	const name = entry.bytes(entry.number(2));
	if (type !== 0 || name === undefined || !entry.over) return broken('expected one server name');
	const authority = parseAuthority(name.toString('latin1'));
	if ('broken' in authority) return broken(`server name: ${authority.broken}`);
	if (authority.port !== undefined || isIP(authority.host) !== 0) return broken('the server name is no host name');
	return authority.host;
}
