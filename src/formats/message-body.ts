/** The two fields that frame a body, as node:http gives them. */
interface Framing {
	readonly 'transfer-encoding'?: string | undefined;
	readonly 'content-length'?: string | undefined;
}

/** Whether the head of a request announces a body (RFC 9112 §6.3). */
export const hasBody = (headers: Framing): boolean =>
	headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
