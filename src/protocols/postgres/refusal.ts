import { type Cause, type Family, familyOf, meaningOf, remedyOf } from '../../model/cause.ts';
import type { Reason } from '../../model/verdict.ts';
import { fatal } from './messages.ts';

/** SQLSTATE by family of cause (PostgreSQL documentation, appendix "PostgreSQL Error Codes"). */
const CODES: Readonly<Record<Family, string>> = {
	denied: '28000',
	approval: '42501',
	unavailable: '57P03',
	unidentified: '28000',
	malformed: '08P01',
	limit: '53400',
	upstream: '08006',
	done: '57P01',
	ended: '57P01',
};

/** Of class 28, "Invalid Authorization Specification": the upstream runs, and did not take who came. */
const UNAUTHORIZED = /\bSQLSTATE 28[0-9A-Z]{3}$/;

const remedyFor = (cause: Cause, detail: string | undefined): string =>
	UNAUTHORIZED.test(detail ?? '') ? 'Check `credentials` of the upstream: it did not take them.' : remedyOf(cause);

export interface RefusalWords {
	readonly cause: Cause;
	/** What an agent may read beside the cause. */
	readonly detail?: string | undefined;
	/** What of the agent's own the detail is about. */
	readonly name?: string;
	readonly reasons?: readonly Reason[];
	readonly decisionId?: string | undefined;
	/** SQLSTATE, where it is not the one of the cause's family. */
	readonly code?: string;
}

/** A refusal as an ErrorResponse: cause in the message, reasons in the detail, decision id and remedy in the hint. */
export function refusal({ cause, detail, name, reasons, decisionId, code }: RefusalWords): Buffer {
	const lines = (reasons ?? []).map(reason =>
		reason.code === undefined ? reason.msg : `${reason.msg} (${reason.code})`,
	);
	if (detail !== undefined) lines.unshift(name === undefined ? detail : `${detail}: ${name}`);
	const hints = decisionId === undefined ? [] : [`decision ${decisionId}`];
	const remedy = remedyFor(cause, detail);
	if (remedy !== '') hints.push(remedy);
	return fatal({
		code: code ?? CODES[familyOf(cause)],
		message: `sallyport: ${cause}: ${meaningOf(cause)}`,
		...(lines.length === 0 ? {} : { detail: lines.join('\n') }),
		...(hints.length === 0 ? {} : { hint: hints.join('. ') }),
	});
}
