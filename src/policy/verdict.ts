import type { Phase } from '../model/call.ts';
import type { Refusal } from '../model/cause.ts';
import type { Reason, Verdict } from '../model/verdict.ts';

/** From what WebAssembly answered to a verdict: the verdict table of the policy contract, and nothing else. */

/** What one bundle said about one phase, types checked. */
export interface Statement {
	readonly allow: boolean | undefined;
	readonly deny: readonly Reason[];
	readonly ask: readonly Reason[];
	/** As JSON, for the record. */
	readonly text: string;
}

/** Why no statement could be read. */
export interface Malformed {
	readonly error: string;
	/** It was stopped because it took too long. */
	readonly exhausted?: true;
}

/** How a module answers: through our contract module, or, in plain bundles, as the package itself. */
export type Shape = 'contract' | 'package';

/** Objects and lists within one another, in a result. Printing what is some thousand deep takes more stack than there is. */
const DEEPEST = 500;

const NONE: readonly Reason[] = Object.freeze([]);

/**
 * Reads what `opa_eval` gave, `[{"result": …}]`. In the contract's shape `allow` is a list of no or one value, and
 * `deny` and `ask` are lists only if they were sets. A plain package shows sets as lists.
 */
export function readStatement(raw: string, shape: Shape): Statement | Malformed {
	if (isDeeper(raw, DEEPEST)) return { error: `the result is nested more than ${DEEPEST} deep` };
	let value: unknown;
	try {
		value = JSON.parse(raw);
	} catch {
		return { error: 'the result is not JSON' };
	}
	const first: unknown = Array.isArray(value) && value.length === 1 ? value[0] : undefined;
	const result = isRecord(first) ? first['result'] : undefined;
	if (!isRecord(result)) return { error: 'the result is undefined or no object' };

	let allow = result['allow'];
	if (shape === 'contract') {
		if (allow !== undefined && (!Array.isArray(allow) || allow.length > 1))
			return { error: 'the result of the contract module is malformed' };
		allow = Array.isArray(allow) ? allow[0] : undefined;
	}
	if (allow !== undefined && typeof allow !== 'boolean') return { error: `allow is ${typeName(allow)}, not a boolean` };
	const deny = readReasons('deny', result['deny']);
	if ('error' in deny) return deny;
	const ask = readReasons('ask', result['ask']);
	if ('error' in ask) return ask;
	const text = JSON.stringify({
		...(allow === undefined ? {} : { allow }),
		...(result['deny'] === undefined ? {} : { deny: result['deny'] }),
		...(result['ask'] === undefined ? {} : { ask: result['ask'] }),
	});
	return { allow, deny: deny.reasons, ask: ask.reasons, text };
}

/** Of a text that is JSON; of another one it may say anything. */
function isDeeper(text: string, most: number): boolean {
	if (text.length <= most) return false;
	let depth = 0;
	let quoted = false;
	for (let at = 0; at < text.length; at++) {
		const character = text[at];
		if (character === '"') quoted = !quoted;
		else if (character === '\\' && quoted) at++;
		else if (quoted) continue;
		else if (character === '[' || character === '{') {
			if (++depth > most) return true;
		} else if (character === ']' || character === '}') depth--;
	}
	return false;
}

function readReasons(name: string, value: unknown): { readonly reasons: readonly Reason[] } | Malformed {
	if (value === undefined) return { reasons: NONE };
	if (!Array.isArray(value)) {
		const type = isRecord(value) && typeof value['malformed'] === 'string' ? value['malformed'] : typeName(value);
		return { error: `${name} is ${type}, not a set` };
	}
	if (value.length === 0) return { reasons: NONE };
	const reasons: Reason[] = [];
	for (const item of value as readonly unknown[]) {
		const reason = readReason(item);
		if (reason === undefined)
			return { error: `${name} holds a reason that is neither a string nor {msg, code, detail}` };
		reasons.push(reason);
	}
	return { reasons };
}

function readReason(item: unknown): Reason | undefined {
	if (typeof item === 'string') return { msg: item };
	if (!isRecord(item)) return undefined;
	const { msg, code, detail } = item;
	if (typeof msg !== 'string' || (code !== undefined && typeof code !== 'string')) return undefined;
	return { msg, ...(code === undefined ? {} : { code }), ...(detail === undefined ? {} : { detail }) };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

const typeName = (value: unknown): string =>
	value === null ? 'null' : Array.isArray(value) ? 'an array' : `of type ${typeof value}`;

/** The verdict on the statements of every bundle that defines the phase; there is at least one. */
export function judge(statements: readonly Statement[], micros: number): Verdict {
	const only = statements.length === 1 ? statements[0] : undefined;
	const { allow, deny, ask, text } = only ?? merge(statements);
	if (deny.length > 0) return verdict('deny', 'denied_by_rule', deny, text, micros);
	if (allow !== true) return verdict('deny', 'no_rule', NONE, text, micros);
	if (ask.length > 0) return verdict('ask', 'approval_required', ask, text, micros);
	return { verdict: 'allow', reasons: NONE, result: text, micros, completed: true };
}

/** Any deny denies, every one must allow. */
function merge(statements: readonly Statement[]): Statement {
	const allow = statements.length > 0 && statements.every(statement => statement.allow === true);
	const deny = statements.flatMap(statement => statement.deny);
	const ask = statements.flatMap(statement => statement.ask);
	return { allow, deny, ask, text: JSON.stringify({ allow, deny, ask }) };
}

const verdict = (
	kind: 'deny' | 'ask',
	cause: Refusal,
	reasons: readonly Reason[],
	result: string,
	micros: number,
): Verdict => ({ verdict: kind, cause, reasons, result, micros, completed: true });

/** The evaluation failed, or its result is malformed. */
export const failed = ({ error, exhausted }: Malformed, micros: number): Verdict => ({
	verdict: 'deny',
	cause: exhausted === true ? 'policy_exhausted' : 'policy_error',
	reasons: NONE,
	result: '{}',
	error,
	micros,
	completed: false,
});

/** No bundle defines the phase. An answer that nobody judges passes; nothing else does. */
export const undefinedPhase = (phase: Phase): Verdict =>
	phase === 'response'
		? { verdict: 'allow', reasons: NONE, result: '{}', micros: 0, completed: true }
		: { verdict: 'deny', cause: 'phase_undefined', reasons: NONE, result: '{}', micros: 0, completed: false };
