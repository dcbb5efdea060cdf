import type { Socket } from 'node:net';
import type { Cause } from '../../model/cause.ts';
import type { Reason } from '../../model/verdict.ts';
import { type Challenge, httpRefusal } from '../../protocols/http/refusal.ts';
import { answerHead, withHead } from '../../protocols/http/writer.ts';
import type { Answer } from './answer.ts';
import { linger } from './linger.ts';
import type { AgentRequest } from './request.ts';

export interface ExchangeRefusal {
	readonly cause: Cause;
	readonly reasons: readonly Reason[];
	readonly detail: string | undefined;
	readonly decisionId: string | undefined;
	readonly challenge: Challenge;
	/** The connection ends with this answer. */
	readonly close?: boolean;
}

/** Answers in words. A body that was not read is not waited for: the connection ends behind the answer. */
export function refuseExchange(request: AgentRequest, answer: Answer, refusal: ExchangeRefusal): void {
	if (answer.started || answer.closed) {
		answer.destroy();
		return;
	}
	const { status, reason, headers, body } = httpRefusal(
		refusal.cause,
		refusal.decisionId,
		refusal.reasons,
		refusal.detail,
		refusal.challenge,
	);
	if (!request.complete || refusal.close === true) answer.keepAlive = false;
	answer.begin(status, reason, headers);
	answer.end(Buffer.from(body));
}

/** The same on a socket without an exchange; the connection ends behind it. */
export function refuseSocket(socket: Socket, refusal: ExchangeRefusal): void {
	const { status, reason, headers, body } = httpRefusal(
		refusal.cause,
		refusal.decisionId,
		refusal.reasons,
		refusal.detail,
		refusal.challenge,
	);
	linger(socket, withHead(answerHead(status, reason, headers, { chunked: false, close: true }), Buffer.from(body)));
}
