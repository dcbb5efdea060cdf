import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cause } from '../model/cause.ts';
import type { Reason } from '../model/verdict.ts';
import { httpRefusal } from '../protocols/http/refusal.ts';

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
	const { status, reason, headers, body } = httpRefusal(refusal.cause, refusal.decisionId, refusal.reasons, refusal.detail, refusal.challenge);
	const unread = !request.complete;
	const close = unread || refusal.close === true;
	response.writeHead(status, reason, close ? [...headers, 'connection', 'close'] : [...headers]);
	response.end(request.method === 'HEAD' ? undefined : body);
	if (!unread) return;
	let left = LINGER_BYTES;
	const { socket } = request;
	const timer = setTimeout(() => socket.destroy(), LINGER_MS);
	socket.once('close', () => clearTimeout(timer));
	request.on('data', (chunk: Buffer) => {
		left -= chunk.length;
		if (left < 0) socket.destroy();
	});
	request.resume();
}
