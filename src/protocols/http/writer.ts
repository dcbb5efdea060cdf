import type { RawHeaders } from './headers.ts';

/** How messages are put on the wire (RFC 9112). Texts are latin1: what was read comes out byte for byte. */

export const LAST_CHUNK = '0\r\n\r\n';

export function requestHead(method: string, path: string, fields: RawHeaders, chunked: boolean): string {
	let text = `${method} ${path} HTTP/1.1\r\n`;
	for (let index = 0; index + 1 < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`;
	return chunked ? `${text}transfer-encoding: chunked\r\n\r\n` : `${text}\r\n`;
}

export function answerHead(
	status: number,
	phrase: string,
	fields: RawHeaders,
	hop: { readonly chunked: boolean; readonly close: boolean },
): string {
	let text = `HTTP/1.1 ${status} ${phrase}\r\n`;
	for (let index = 0; index + 1 < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`;
	if (hop.chunked) text += 'transfer-encoding: chunked\r\n';
	if (hop.close) text += 'connection: close\r\n';
	return `${text}\r\n`;
}

/** A head and what follows it, for one write. */
export function withHead(head: string, data: Buffer): Buffer {
	const bytes = Buffer.allocUnsafe(head.length + data.length);
	bytes.write(head, 0, 'latin1');
	bytes.set(data, head.length);
	return bytes;
}

/** One chunk of a chunked body (RFC 9112 §7.1). */
export function chunk(data: Buffer): Buffer {
	const size = `${data.length.toString(16)}\r\n`;
	const bytes = Buffer.allocUnsafe(size.length + data.length + 2);
	bytes.write(size, 0, 'latin1');
	bytes.set(data, size.length);
	bytes.write('\r\n', size.length + data.length, 'latin1');
	return bytes;
}

/** The end of a chunked body, with the fields behind it. */
export function lastChunk(trailers: RawHeaders): string {
	if (trailers.length === 0) return LAST_CHUNK;
	let text = '0\r\n';
	for (let index = 0; index + 1 < trailers.length; index += 2) text += `${trailers[index]}: ${trailers[index + 1]}\r\n`;
	return `${text}\r\n`;
}
