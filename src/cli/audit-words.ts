import { objectOf, type ReadRecord, textOf } from '../audit/read-record.ts';
import { visible } from './terminal.ts';

/** Longest text of a record that is shown. */
const LONGEST = 160;

/** Text of agents and upstreams as records hold it, in one line that is safe to show. */
export function plain(text: string): string {
	const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
	return visible(shown).replaceAll('\n', '\\u000a');
}

/** A member of a record as text. */
export const word = (value: unknown): string => plain(textOf(value) ?? (value === undefined ? '?' : String(value)));

/** The last part of a SPIFFE ID: what people call an agent. */
export const shortName = (id: unknown): string => plain(textOf(id)?.split('/').at(-1) ?? '?');

/** `GET /contacts → crm` */
export function callText(call: ReadRecord | undefined): string {
	const target = objectOf(call?.target);
	const operation = textOf(call?.operation) ?? '';
	const resource = textOf(call?.resource) ?? '';
	const host = textOf(target?.host) ?? '';
	const to = textOf(target?.name) ?? `${host}:${String(target?.port)}`;
	// What could not be read has no target.
	if (host === '' && target?.name === undefined) return plain(`${operation} ${resource}`.trim() || '?');
	// What is aimed at itself, as a tunnel is, stands there once.
	return plain(resource === to ? operation : `${operation} ${resource}`) + plain(` → ${to}`);
}

/** Why a decision was made, part by part. */
export function whyOf(record: ReadRecord): string[] {
	const why: string[] = [];
	const phase = word(record.path).replace('sallyport/', '');
	if (phase !== 'request' && phase !== objectOf(record.call)?.operation) why.push(phase);
	if (record.cause !== undefined) why.push(word(record.cause));
	if (record.observed === true) why.push('observed');
	const reasons = Array.isArray(record.reasons) ? record.reasons : [];
	for (const reason of reasons.slice(0, 3)) why.push(plain(String(objectOf(reason)?.msg ?? '')));
	if (reasons.length > 3) why.push(`and ${reasons.length - 3} more`);
	if (record.detail !== undefined) why.push(word(record.detail));
	const error = textOf(objectOf(record.error)?.message);
	if (error !== undefined) why.push(plain(error));
	return why;
}

/** How a call ended, part by part. */
export function endOf(record: ReadRecord): string[] {
	const end = [word(record.cause)];
	if (typeof record.status === 'number') end.push(String(record.status));
	if (typeof record.duration_ms === 'number') end.push(durationText(record.duration_ms));
	const error = textOf(objectOf(record.error)?.message);
	if (error !== undefined) end.push(plain(error));
	return end;
}

function durationText(ms: number): string {
	if (ms < 1000) return `${ms < 100 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
	if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
	return `${Math.round(ms / 60_000)} min`;
}

/** What is missing where a record of type `gap` stands, and why. */
export function gapText(value: unknown): string {
	const gap = objectOf(value);
	switch (gap?.reason) {
		case 'torn':
			return `after a crash ${word(gap.bytes)} bytes of no whole record were cut off ${word(gap.segment)} at ${word(gap.offset)}`;
		case 'broken':
			return `a link did not hold at a start: ${word(gap.segment)} at ${word(gap.offset)}`;
		case 'unwritable': {
			const lost = Object.entries(objectOf(gap.lost) ?? {}).map(
				([type, count]) => `${word(count)} of type ${plain(type)}`,
			);
			const whose = gap.agent === undefined ? '' : ` of ${word(gap.agent)}`;
			const what = lost.length === 0 ? 'no record is lost' : `lost ${lost.join(', ')}`;
			return `records${whose} could not be written (${word(gap.error)}) from ${word(gap.since)} to ${word(gap.until)}: ${what}, calls ${word(gap.calls)}`;
		}
		default:
			return plain(JSON.stringify(value) ?? '?');
	}
}
