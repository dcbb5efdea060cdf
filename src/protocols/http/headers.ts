/** Header fields as node:http gives and takes them: a flat list of names and values, in order. */
export type RawHeaders = readonly string[];

// RFC 9110 §7.6.1, with what proxies have taken to mean the same, what the forwarder writes itself (Host,
// Content-Length), and what would let an agent pretend to be a proxy (x-forwarded-client-cert).
const NOT_FORWARDED = new Set([
	'connection',
	'content-length',
	'expect',
	'host',
	'http2-settings',
	'keep-alive',
	'proxy-authenticate',
	'proxy-authorization',
	'proxy-connection',
	'te',
	'trailer',
	'transfer-encoding',
	'upgrade',
	'x-forwarded-client-cert',
]);

const NOT_ANSWERED = new Set(['connection', 'keep-alive', 'proxy-authenticate', 'proxy-connection', 'trailer', 'transfer-encoding', 'upgrade']);

/** Names that a Connection field nominates, lower case; they are for this hop only. */
function nominated(connection: string): Set<string> | undefined {
	let names: Set<string> | undefined;
	for (const part of connection.split(',')) {
		const name = part.trim().toLowerCase();
		if (name === '' || name === 'keep-alive' || name === 'close') continue;
		names ??= new Set();
		names.add(name);
	}
	return names;
}

/**
 * The end-to-end fields of a request, behind a Host of ours; names in lower case. Policy's input and the
 * upstream both get this list, so that they cannot differ.
 */
export function forwardedHeaders(raw: RawHeaders, host: string, connection: string | undefined): string[] {
	const also = connection === undefined ? undefined : nominated(connection);
	const list = ['host', host];
	for (let index = 0; index + 1 < raw.length; index += 2) {
		const name = (raw[index] as string).toLowerCase();
		if (NOT_FORWARDED.has(name) || also?.has(name)) continue;
		list.push(name, raw[index + 1] as string);
	}
	return list;
}

/** The end-to-end fields of an answer, from undici's raw list of Buffers (latin1 on the wire). */
export function answeredHeaders(raw: readonly (Buffer | string)[]): { list: string[]; length: number | undefined } {
	const list: string[] = [];
	let also: Set<string> | undefined;
	let length: number | undefined;
	for (let index = 0; index + 1 < raw.length; index += 2) {
		const name = text(raw[index] as Buffer | string);
		const value = text(raw[index + 1] as Buffer | string);
		const lower = name.toLowerCase();
		if (lower === 'connection') also = nominated(value);
		if (NOT_ANSWERED.has(lower)) continue;
		if (lower === 'content-length') length = Number(value);
		list.push(name, value);
	}
	if (also === undefined) return { list, length };
	const kept: string[] = [];
	for (let index = 0; index + 1 < list.length; index += 2) {
		if (!also.has((list[index] as string).toLowerCase())) kept.push(list[index] as string, list[index + 1] as string);
	}
	return { list: kept, length };
}

const text = (value: Buffer | string): string => (typeof value === 'string' ? value : value.toString('latin1'));
