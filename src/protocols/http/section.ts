import { decodeQuery, decodeSegments } from '../../formats/request-target.ts';
import type { Mask, MaskedText, Reads, Section } from '../../model/call.ts';
import type { RawHeaders } from './headers.ts';

/** How much of the body policy can be given. */
export type BodyState = 'whole' | 'none' | 'too_large' | 'unparsed' | 'encoded';

export interface Body {
	readonly state: BodyState;
	/** The original bytes as text, checked by the strict scanner; only when whole. */
	readonly text?: string;
}

/** What is masked in records, lower case. */
export interface MaskNames {
	readonly headers: ReadonlySet<string>;
	readonly query: ReadonlySet<string>;
}

export interface RequestFacts {
	readonly method: string;
	readonly path: string;
	readonly query: string | undefined;
	/** As forwarded: lower-case names. */
	readonly headers: RawHeaders;
	readonly body: Body | undefined;
	/** Head of the answer, in phase `response`. */
	readonly answer?: { readonly status: number; readonly headers: RawHeaders };
}

/** What of `input.http` policy reads; worked out once per revision. */
interface Plan {
	readonly method: boolean;
	readonly path: boolean;
	readonly segments: boolean;
	readonly query: boolean;
	readonly headers: boolean;
	/** Whether policy reads one header, by its lower-case name. */
	wants(name: string): boolean;
	readonly body: boolean;
	readonly bodyState: boolean;
	readonly status: boolean;
	readonly any: boolean;
}

/** Makes the `http` section of inputs; one per configuration, because of the masked names. */
export function httpSections(mask: MaskNames): (facts: RequestFacts) => Section {
	const plans = new WeakMap<Reads, Plan>();
	const planOf = (reads: Reads): Plan => {
		let plan = plans.get(reads);
		if (plan === undefined) {
			plan = makePlan(reads);
			plans.set(reads, plan);
		}
		return plan;
	};
	return facts => ({ key: 'http', build: reads => build(facts, planOf(reads), mask) });
}

function makePlan(reads: Reads): Plan {
	const has = (key: string): boolean => reads.has('http', key);
	const all = reads.all('http', 'headers');
	const known = new Map<string, boolean>();
	const wants = (name: string): boolean => {
		if (all) return true;
		let wanted = known.get(name);
		if (wanted === undefined) {
			wanted = reads.has('http', 'headers', name);
			if (known.size < 512) known.set(name, wanted);
		}
		return wanted;
	};
	return {
		method: has('method'),
		path: has('path'),
		segments: has('segments'),
		query: has('query'),
		headers: has('headers'),
		wants,
		body: has('body'),
		bodyState: has('body_state'),
		status: has('status'),
		any: reads.has('http'),
	};
}

function build(facts: RequestFacts, plan: Plan, mask: MaskNames): MaskedText | undefined {
	if (!plan.any) return undefined;
	const masks: Mask[] = [];
	let text = '{';
	const key = (name: string): void => {
		text += text.length === 1 ? `"${name}":` : `,"${name}":`;
	};
	if (plan.method) {
		key('method');
		text += JSON.stringify(facts.method);
	}
	if (plan.path) {
		key('path');
		text += JSON.stringify(facts.path);
	}
	if (plan.segments) {
		key('segments');
		text += JSON.stringify(decodeSegments(facts.path) ?? []);
	}
	if (plan.query) {
		key('query');
		text = writeQuery(text, facts.query ?? '', mask.query, masks);
	}
	if (plan.headers) {
		key('headers');
		text = writeHeaders(text, facts.answer?.headers ?? facts.headers, plan, mask.headers, masks);
	}
	if (plan.status && facts.answer !== undefined) {
		key('status');
		text += String(facts.answer.status);
	}
	if (plan.bodyState && facts.body !== undefined) {
		key('body_state');
		text += `"${facts.body.state}"`;
	}
	if (plan.body && facts.body?.text !== undefined) {
		key('body');
		masks.push({
			pointer: '/input/http/body',
			start: text.length,
			end: text.length + facts.body.text.length,
			kind: 'content',
		});
		text += facts.body.text;
	}
	return { text: `${text}}`, masks };
}

function writeQuery(before: string, query: string, masked: ReadonlySet<string>, masks: Mask[]): string {
	let text = `${before}{`;
	let first = true;
	for (const [name, values] of decodeQuery(query) ?? []) {
		text += `${first ? '' : ','}${JSON.stringify(name)}:`;
		first = false;
		const value = JSON.stringify(values);
		if (masked.has(name.toLowerCase()))
			masks.push({
				pointer: `/input/http/query/${escapePointer(name)}`,
				start: text.length,
				end: text.length + value.length,
				kind: 'secret',
			});
		text += value;
	}
	return `${text}}`;
}

/** One string a name: repeated fields are joined (RFC 9110 §5.3), cookies by `; ` (RFC 6265 §5.4). */
function writeHeaders(
	before: string,
	headers: RawHeaders,
	plan: Plan,
	masked: ReadonlySet<string>,
	masks: Mask[],
): string {
	const joined = new Map<string, string>();
	for (let index = 0; index + 1 < headers.length; index += 2) {
		const name = (headers[index] as string).toLowerCase();
		if (!plan.wants(name)) continue;
		const value = headers[index + 1] as string;
		const held = joined.get(name);
		joined.set(name, held === undefined ? value : `${held}${name === 'cookie' ? '; ' : ', '}${value}`);
	}
	let text = `${before}{`;
	let first = true;
	for (const [name, held] of joined) {
		text += `${first ? '' : ','}${JSON.stringify(name)}:`;
		first = false;
		const value = JSON.stringify(held);
		if (masked.has(name))
			masks.push({
				pointer: `/input/http/headers/${escapePointer(name)}`,
				start: text.length,
				end: text.length + value.length,
				kind: 'secret',
			});
		text += value;
	}
	return `${text}}`;
}

/** RFC 6901 §3. */
const escapePointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
