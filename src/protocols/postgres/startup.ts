import { CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST } from './messages.ts';

/** As in the server: MAX_STARTUP_PACKET_LENGTH. */
export const MAX_STARTUP = 10_000;
/** The server cuts longer names off (NAMEDATALEN - 1 bytes) and would act on another name than was judged. */
const MAX_NAME = 63;
/** Process id and the longest secret of protocol 3.2. */
const MAX_CANCEL = 12 + 256;

/**
 * Start-up parameters that an agent may set, lower case. All others are refused: `options` and any setting could
 * change what later SQL means or run SQL by itself (CVE-2025-12819), `replication` opens another protocol.
 */
const ALLOWED: ReadonlySet<string> = new Set([
	'user',
	'database',
	'application_name',
	'client_encoding',
	'datestyle',
	'timezone',
	'intervalstyle',
	'extra_float_digits',
	'statement_timeout',
	'lock_timeout',
	'idle_in_transaction_session_timeout',
]);

export interface Startup {
	/** Minor version that is spoken with the agent. */
	readonly minor: 0 | 2;
	/** True if the agent must be told the version, or of options that are not understood. */
	readonly negotiate: boolean;
	readonly unknownOptions: readonly string[];
	readonly user: string;
	/** The user when the agent named none, as the server does it. */
	readonly database: string;
	/** As the agent sent them, without user, database and protocol options. */
	readonly parameters: ReadonlyMap<string, string>;
}

export type First =
	| { readonly kind: 'more' }
	/** A TLS record: direct negotiation. */
	| { readonly kind: 'tls' }
	| { readonly kind: 'ssl'; readonly rest: Buffer }
	| { readonly kind: 'gss'; readonly rest: Buffer }
	/** `key` is process id and secret. */
	| { readonly kind: 'cancel'; readonly key: Buffer }
	| { readonly kind: 'startup'; readonly startup: Startup; readonly rest: Buffer }
	| Bad;

/** `detail` is one of a few texts, so that records of it coalesce; `name` is the agent's own, for the agent alone. */
export interface Bad {
	readonly kind: 'bad';
	readonly detail: string;
	readonly name?: string;
}

const MORE: First = { kind: 'more' };
const bad = (detail: string, name?: string): Bad => ({ kind: 'bad', detail, ...(name === undefined ? {} : { name }) });

/** Reads one first packet: a request for encryption, a cancel request or a start-up message. */
export function readFirst(buffer: Buffer): First {
	if (buffer.length === 0) return MORE;
	if (buffer[0] === 0x16) return { kind: 'tls' };
	// The first byte of any sensible length is 0, so garbage and other protocols end here, at once.
	if (buffer[0] !== 0) return bad('not a Postgres start-up message');
	if (buffer.length < 8) return MORE;
	const length = buffer.readUInt32BE(0);
	const code = buffer.readUInt32BE(4);
	if (length < 8 || length > MAX_STARTUP) return bad('length of the start-up message');
	if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
		if (length !== 8) return bad('length of the encryption request');
		return { kind: code === SSL_REQUEST ? 'ssl' : 'gss', rest: buffer.subarray(8) };
	}
	if (code === CANCEL_REQUEST) {
		if (length < 16 || length > MAX_CANCEL) return bad('length of the cancel request');
		return buffer.length < length ? MORE : { kind: 'cancel', key: Buffer.from(buffer.subarray(8, length)) };
	}
	if (code >>> 16 !== 3) return bad('protocol version');
	if (buffer.length < length) return MORE;
	return readStartup(code & 0xffff, buffer.subarray(8, length), buffer.subarray(length));
}

function readStartup(wanted: number, body: Buffer, rest: Buffer): First {
	const pairs = readPairs(body);
	if (typeof pairs === 'string') return bad(pairs);
	const parameters = new Map<string, string>();
	const seen = new Set<string>();
	const unknownOptions: string[] = [];
	let user = '';
	let database = '';
	for (const [name, value] of pairs) {
		if (name.startsWith('_pq_.')) {
			unknownOptions.push(name);
			continue;
		}
		const lower = name.toLowerCase();
		// `user` and `database` are compared byte for byte by the server, settings without regard to case.
		if (!ALLOWED.has(lower) || ((lower === 'user' || lower === 'database') && lower !== name)) {
			return bad('a start-up parameter that is not allowed', printable(name));
		}
		if (seen.has(lower)) return bad('a start-up parameter that is there twice', lower);
		seen.add(lower);
		if (lower === 'user') user = value;
		else if (lower === 'database') database = value;
		else parameters.set(name, value);
	}
	if (user === '') return bad('the start-up message names no user');
	if (database === '') database = user;
	if (Buffer.byteLength(user) > MAX_NAME || Buffer.byteLength(database) > MAX_NAME) {
		return bad('names of users and databases have at most 63 bytes');
	}
	const minor = wanted >= 2 ? 2 : 0;
	const negotiate = wanted !== minor || unknownOptions.length > 0;
	return { kind: 'startup', startup: { minor, negotiate, unknownOptions, user, database, parameters }, rest };
}

const printable = (name: string): string => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 64);

/** Names and values, each up to NUL, and one NUL more at the very end. A text says what is wrong. */
function readPairs(body: Buffer): readonly (readonly [string, string])[] | string {
	const pairs: [string, string][] = [];
	const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
	let at = 0;
	const next = (): string | undefined => {
		const end = body.indexOf(0, at);
		if (end === -1) return undefined;
		const text = decoder.decode(body.subarray(at, end));
		at = end + 1;
		return text;
	};
	try {
		for (;;) {
			const name = next();
			if (name === undefined) return 'the start-up message has no end';
			if (name === '') return at === body.length ? pairs : 'bytes after the end of the start-up message';
			const value = next();
			if (value === undefined) return 'the start-up message has no end';
			pairs.push([name, value]);
		}
	} catch {
		return 'the start-up message is not UTF-8';
	}
}
