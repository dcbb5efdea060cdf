import { type Cause, familyOf, meaningOf, remedyOf } from '../../model/cause.ts';
import type { Reason } from '../../model/verdict.ts';

export interface HttpRefusal {
	readonly status: number;
	readonly reason: string;
	readonly headers: readonly string[];
	readonly body: string;
}

const STATUS: Readonly<Record<ReturnType<typeof familyOf>, number>> = {
	denied: 403,
	approval: 403,
	unavailable: 503,
	unidentified: 403,
	malformed: 400,
	limit: 429,
	upstream: 502,
	done: 500,
	ended: 403,
};

/** Limits that HTTP has a status of its own for (RFC 9110 §15.5.9, RFC 6585 §5). */
const BY_LIMIT: Readonly<Record<string, number>> = {
	'limits.head': 408,
	'limits.body_idle': 408,
	'limits.header_bytes': 431,
};

/**
 * Where a token would be taken, and none was shown: a client of a proxy is asked for one with 407 and shows it in
 * Proxy-Authorization, a client of what it takes for the server itself with 401 (RFC 9110 §15.5.2, §15.5.8).
 */
export type Challenge = false | 'proxy' | 'origin';

function statusOf(cause: Cause, challenge: Challenge, detail: string | undefined): number {
	if (cause === 'limit_exceeded') return BY_LIMIT[detail ?? ''] ?? STATUS.limit;
	if (cause === 'upstream_timeout') return 504;
	if (cause === 'body_unreadable') return 403;
	if (challenge !== false && cause === 'identity_missing') return challenge === 'proxy' ? 407 : 401;
	return STATUS[familyOf(cause)];
}

const PHRASE: Readonly<Record<number, string>> = {
	400: 'Bad Request',
	401: 'Unauthorized',
	403: 'Forbidden',
	407: 'Proxy Authentication Required',
	408: 'Request Timeout',
	429: 'Too Many Requests',
	431: 'Request Header Fields Too Large',
	500: 'Internal Server Error',
	502: 'Bad Gateway',
	503: 'Service Unavailable',
	504: 'Gateway Timeout',
};

/** Bearer is taken too; clients that answer a challenge know how by Basic (RFC 7617 §2). */
const ASK = 'Basic realm="sallyport"';

/** A refusal as problem details (RFC 9457). Only `msg` and `code` of reasons reach the agent. */
export function httpRefusal(
	cause: Cause,
	decisionId: string | undefined,
	reasons: readonly Reason[],
	detail: string | undefined,
	challenge: Challenge,
): HttpRefusal {
	const status = statusOf(cause, challenge, detail);
	const hint = remedyOf(cause);
	const body = JSON.stringify({
		type: `urn:sallyport:cause:${cause}`,
		title: meaningOf(cause),
		status,
		...(detail === undefined ? {} : { detail }),
		cause,
		...(hint === '' ? {} : { hint }),
		...(decisionId === undefined ? {} : { decision_id: decisionId }),
		reasons: reasons.map(({ msg, code }) => (code === undefined ? { msg } : { msg, code })),
		...(cause === 'approval_required' && decisionId !== undefined ? { approval: { handle: decisionId } } : {}),
	});
	const headers = [
		'content-type',
		'application/problem+json',
		'content-length',
		String(Buffer.byteLength(body)),
		'cache-control',
		'no-store',
	];
	if (decisionId !== undefined) headers.push('sallyport-decision-id', decisionId);
	if (status === 407) headers.push('proxy-authenticate', ASK);
	if (status === 401) headers.push('www-authenticate', ASK);
	const phrase = PHRASE[status] ?? 'Error';
	return { status, reason: decisionId === undefined ? phrase : `${phrase} ${cause} ${decisionId}`, headers, body };
}
