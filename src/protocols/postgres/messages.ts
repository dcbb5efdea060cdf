/**
 * The Postgres wire protocol's messages that Sallyport reads and writes itself.
 * Source: PostgreSQL documentation, "Frontend/Backend Protocol", sections "Message Formats" and "Error and Notice
 * Message Fields". Integers are big-endian; a length counts itself but not the type byte before it.
 */

/** Codes in the place of a protocol version, in a first packet. */
export const SSL_REQUEST = 80877103;
export const GSSENC_REQUEST = 80877104;
export const CANCEL_REQUEST = 80877102;

/** ALPN of Postgres over TLS. */
export const ALPN: readonly string[] = ['postgresql'];

/** Type bytes of messages from the server. */
export const AUTHENTICATION = 0x52; // R
export const BACKEND_KEY_DATA = 0x4b; // K
export const ERROR_RESPONSE = 0x45; // E
export const READY_FOR_QUERY = 0x5a; // Z
export const NEGOTIATE_PROTOCOL_VERSION = 0x76; // v
/** Type byte of every password and SASL message from the client. */
export const PASSWORD = 0x70; // p

/** Kinds of AUTHENTICATION. */
export const AUTH_OK = 0;
export const AUTH_CLEARTEXT = 3;
export const AUTH_MD5 = 5;
export const AUTH_SASL = 10;
export const AUTH_SASL_CONTINUE = 11;
export const AUTH_SASL_FINAL = 12;

export interface Frame {
	readonly type: number;
	readonly body: Buffer;
	/** The message as it came, type and length included. */
	readonly whole: Buffer;
	readonly rest: Buffer;
}

/** Takes the first message off a buffer; `max` is the greatest length of a whole message. */
export function takeFrame(buffer: Buffer, max: number): Frame | 'more' | 'bad' {
	if (buffer.length < 5) return 'more';
	const length = buffer.readUInt32BE(1);
	if (length < 4 || length + 1 > max) return 'bad';
	const end = length + 1;
	if (buffer.length < end) return 'more';
	return {
		type: buffer[0] ?? 0,
		body: buffer.subarray(5, end),
		whole: buffer.subarray(0, end),
		rest: buffer.subarray(end),
	};
}

/** A message with a type byte. */
export function frame(type: number, ...parts: readonly Buffer[]): Buffer {
	const head = Buffer.allocUnsafe(5);
	let length = 4;
	for (const part of parts) length += part.length;
	head[0] = type;
	head.writeUInt32BE(length, 1);
	return Buffer.concat([head, ...parts]);
}

export function int32(value: number): Buffer {
	const bytes = Buffer.allocUnsafe(4);
	bytes.writeInt32BE(value);
	return bytes;
}

/** A string up to NUL. What it must not contain is dropped. */
export const cstring = (text: string): Buffer => Buffer.from(`${text.replaceAll('\0', '')}\0`, 'utf8');

export const sslRequest = (): Buffer => Buffer.concat([int32(8), int32(SSL_REQUEST)]);

/** `key` is process id and secret as BackendKeyData carried them. */
export const cancelRequest = (key: Buffer): Buffer =>
	Buffer.concat([int32(8 + key.length), int32(CANCEL_REQUEST), key]);

/** A start-up message of protocol 3.0. */
export function startupMessage(parameters: ReadonlyMap<string, string>): Buffer {
	const parts: Buffer[] = [int32(0x00030000)];
	for (const [name, value] of parameters) parts.push(cstring(name), cstring(value));
	parts.push(Buffer.from([0]));
	const body = Buffer.concat(parts);
	return Buffer.concat([int32(body.length + 4), body]);
}

export const authentication = (kind: number, ...parts: readonly Buffer[]): Buffer =>
	frame(AUTHENTICATION, int32(kind), ...parts);

/** Tells the client the newest minor version there is, and the protocol options that were not understood. */
export const negotiateProtocolVersion = (minor: number, options: readonly string[]): Buffer =>
	frame(NEGOTIATE_PROTOCOL_VERSION, int32(0x00030000 | minor), int32(options.length), ...options.map(cstring));

export interface ErrorFields {
	/** SQLSTATE. */
	readonly code: string;
	readonly message: string;
	readonly detail?: string;
	readonly hint?: string;
}

const MAX_FIELD = 4096;
const field = (type: string, text: string): Buffer =>
	Buffer.concat([
		Buffer.from(type, 'latin1'),
		cstring(text.length > MAX_FIELD ? `${text.slice(0, MAX_FIELD)}…` : text),
	]);

/** An error after which the session is over. */
export function fatal(fields: ErrorFields): Buffer {
	const parts = [field('S', 'FATAL'), field('V', 'FATAL'), field('C', fields.code), field('M', fields.message)];
	if (fields.detail !== undefined) parts.push(field('D', fields.detail));
	if (fields.hint !== undefined) parts.push(field('H', fields.hint));
	return frame(ERROR_RESPONSE, ...parts, Buffer.from([0]));
}

/** SQLSTATE of an ErrorResponse's body; `XXXXX` if it has none. */
export function sqlState(body: Buffer): string {
	let at = 0;
	while (at < body.length && body[at] !== 0) {
		const end = body.indexOf(0, at + 1);
		if (end === -1) break;
		if (body[at] === 0x43) {
			const code = body.toString('latin1', at + 1, end);
			return /^[0-9A-Z]{5}$/.test(code) ? code : 'XXXXX';
		}
		at = end + 1;
	}
	return 'XXXXX';
}
