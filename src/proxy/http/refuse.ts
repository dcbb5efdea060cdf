import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Cause } from '../../model/cause.ts';
import type { Reason } from '../../model/verdict.ts';
import { httpRefusal } from '../../protocols/http/refusal.ts';

export interface ExchangeRefusal {
	readonly cause: Cause;
	readonly reasons: readonly Reason[];
	readonly detail: string | undefined;
	readonly decisionId: string | undefined;
	/** A token would be taken on this listener. */
	readonly challenge: boolean;
	/** The connection ends with this answer. */
	readonly close?: boolean;
}

/** What of an unread body is still taken so that the refusal arrives before the reset: time and bytes. */
const LINGER_MS = 1000;
const LINGER_BYTES = 256 * 1024;

/** Answers in words. A body that was not read is not waited for: the connection ends behind the answer. */
export function refuseExchange(request: IncomingMessage, response: ServerResponse, refusal: ExchangeRefusal): void {
	if (response.headersSent || response.destroyed) {
		response.destroy();
		return;
	}
	const { status, reason, headers, body } = httpRefusal(
		refusal.cause,
		refusal.decisionId,
		refusal.reasons,
		refusal.detail,
		refusal.challenge,
	);
	const unread = !request.complete && hasBody(request);
	if (unread || refusal.close === true) response.shouldKeepAlive = false;
	response.writeHead(status, reason, [...headers]);
	if (!unread) {
		response.end(request.method === 'HEAD' ? undefined : body);
		return;
	}
	// The whole answer goes out, but node:http must not close yet: a socket closed with unread bytes resets the
	// connection, and the answer with it.
	if (request.method === 'HEAD') response.flushHeaders();
	else response.write(body);
	linger(request, response);
}

/** Reads on without looking until the agent is through or has left, the time is up, or it sends too much. */
function linger(request: IncomingMessage, response: ServerResponse): void {
	let left = LINGER_BYTES;
	const end = (): void => void response.end();
	const timer = setTimeout(end, LINGER_MS);
	response.once('close', () => clearTimeout(timer));
	request.once('end', end);
	request.on('data', (chunk: Buffer) => {
		left -= chunk.length;
		if (left < 0) request.pause();
	});
	request.resume();
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
	headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** The same on a socket that node:http does not answer on; the connection ends behind it. */
export function refuseSocket(socket: Socket, refusal: ExchangeRefusal): void {
	const { status, reason, headers, body } = httpRefusal(
		refusal.cause,
		refusal.decisionId,
		refusal.reasons,
		refusal.detail,
		refusal.challenge,
	);
	let text = `HTTP/1.1 ${status} ${reason}\r\n`;
	for (let index = 0; index + 1 < headers.length; index += 2) text += `${headers[index]}: ${headers[index + 1]}\r\n`;
	socket.end(`${text}connection: close\r\n\r\n${body}`);
	// Reads on without looking: a socket closed with unread bytes resets the connection and takes the answer with it.
	socket.on('data', () => {});
	socket.resume();
	const timer = setTimeout(() => socket.destroy(), LINGER_MS);
	socket.once('close', () => clearTimeout(timer));
}
