import type { Row } from '../audit/query.ts';
import { objectOf, type ReadRecord, textOf } from '../audit/read-record.ts';
import { CAUSES, type Cause, familyOf } from '../model/cause.ts';
import { callText, endOf, gapText, plain, shortName, whyOf, word } from './audit-words.ts';

const COLOURS = { red: 31, green: 32, yellow: 33, dim: 2 } as const;
type Colour = keyof typeof COLOURS;

/** Decisions whose description is kept until their outcome comes. */
const REMEMBERED = 4096;

/** How wide the columns may become, in UTF-16 units: who, and what. */
const WIDEST = [24, 48] as const;

/** Of a decision's id in a row; `audit query --decision` finds it by that. */
const SHORT_ID = 18;

const VERDICTS: Readonly<Record<string, Colour>> = { allow: 'green', ask: 'yellow', deny: 'red' };

/** The parts of a line between word and end. */
interface Cells {
	readonly who: string;
	readonly what: string;
}

/** Makes records readable, one line each: when, what it is, who, what, and why or how it ended. */
export class Show {
	readonly #colour: boolean;
	readonly #date: boolean;
	readonly #instance: boolean;
	readonly #decisions = new Map<string, Cells>();
	/** The widest cells so far: columns only grow. */
	readonly #widths = [0, 0];
	#day = '';

	/**
	 * `date`: the whole timestamp in each line, rather than the time of day below a line for each day. `instance`: which
	 * Sallyport wrote it.
	 */
	constructor(colour: boolean, date: boolean, instance = false) {
		this.#colour = colour;
		this.#date = date;
		this.#instance = instance;
	}

	/** Makes the columns wide enough for what will be shown together. */
	measure(records: Iterable<ReadRecord>): void {
		for (const record of records) {
			const cells = cellsOf(record);
			if (cells !== undefined) this.#widen(cells);
		}
	}

	record(record: ReadRecord): string {
		const cells = cellsOf(record);
		switch (record.type) {
			case 'decision':
				this.#remember(record, cells);
				return this.#verdict(record, cells, whyOf(record));
			case 'outcome':
				return this.#ended(record);
			case 'session':
				return this.#refused(record, cells);
			case 'control': {
				const detail = record.detail === undefined ? '' : plain(JSON.stringify(record.detail));
				return this.#line(record, 'control', 'yellow', cells, detail);
			}
			case 'checkpoint': {
				const signed = record.signature === undefined ? 'not signed' : 'signed';
				const text = `checkpoint up to record ${String(objectOf(record.checkpoint)?.seq)}, ${signed}`;
				return this.#line(record, 'check', 'dim', undefined, text);
			}
			case 'gap':
				return this.#line(record, 'gap', 'red', undefined, gapText(record.gap));
			default:
				return this.#line(record, '?', 'red', undefined, plain(JSON.stringify(record)));
		}
	}

	/** A decision with how it ended, or a refused connection. */
	row(row: Row): string {
		if ('session' in row) return this.#refused(row.session, cellsOf(row.session));
		const { decision, outcome } = row;
		const why = whyOf(decision);
		if (outcome !== undefined) why.push(...endOf(outcome));
		const id = plain(textOf(decision.decision_id)?.slice(0, SHORT_ID) ?? '?');
		return this.#verdict(decision, cellsOf(decision), why, id);
	}

	#verdict(record: ReadRecord, cells: Cells | undefined, why: readonly string[], id = ''): string {
		const verdict = textOf(record.verdict) ?? '?';
		return this.#line(record, plain(verdict), VERDICTS[verdict] ?? 'red', cells, why.join(' · '), id);
	}

	#ended(record: ReadRecord): string {
		const id = textOf(record.decision_id) ?? '';
		const cells = this.#decisions.get(id) ?? { who: '', what: plain(id) };
		this.#decisions.delete(id);
		const cause = CAUSES.find(known => known === record.cause);
		const [said, colour] = cause === undefined ? (['?', 'red'] as const) : ending(cause);
		return this.#line(record, said, colour, cells, endOf(record).join(' · '));
	}

	#refused(record: ReadRecord, cells: Cells | undefined): string {
		const { count } = record;
		const why = [word(record.cause), word(record.detail)];
		if (record.claimed !== undefined) why.push(`claims ${word(record.claimed)}`);
		if (typeof count === 'number' && count > 1) why.push(`${count} times`);
		return this.#line(record, 'refuse', 'red', cells, why.join(' · '));
	}

	#remember(record: ReadRecord, cells: Cells | undefined): void {
		const id = textOf(record.decision_id);
		if (id === undefined || cells === undefined) return;
		this.#decisions.set(id, cells);
		if (this.#decisions.size <= REMEMBERED) return;
		const first = this.#decisions.keys().next();
		if (first.done !== true) this.#decisions.delete(first.value);
	}

	#widen({ who, what }: Cells): void {
		for (const [column, cell] of [who, what].entries()) {
			const width = Math.min(cell.length, WIDEST[column] ?? 0);
			this.#widths[column] = Math.max(this.#widths[column] ?? 0, width);
		}
	}

	#line(record: ReadRecord, said: string, colour: Colour, cells: Cells | undefined, end: string, id = ''): string {
		const timestamp = plain(textOf(record.timestamp) ?? '');
		let line = this.#date ? '' : this.#newDay(timestamp.slice(0, 10));
		line += this.#paint('dim', this.#date ? timestamp.replace('T', ' ') : timestamp.slice(11, 23));
		line += `  ${this.#paint(colour, said.padEnd(7))}`;
		const from = this.#instance ? word(record.instance) : '';
		if (cells === undefined) return `${line}  ${end}${from === '' ? '' : `  ${this.#paint('dim', from)}`}\n`;
		this.#widen(cells);
		line += `  ${cells.who.padEnd(this.#widths[0] ?? 0)}  `;
		if (end === '' && id === '' && from === '') return `${line}${cells.what}\n`;
		line += cells.what.padEnd(this.#widths[1] ?? 0);
		for (const part of [end, from, id]) if (part !== '') line += `  ${this.#paint('dim', part)}`;
		return `${line}\n`;
	}

	#newDay(day: string): string {
		if (day === this.#day) return '';
		this.#day = day;
		return `${this.#paint('dim', `${day} UTC`)}\n`;
	}

	#paint(colour: Colour, text: string): string {
		return paint(this.#colour, colour, text);
	}
}

/** `wished`: whether colours are shown at all. */
export const paint = (wished: boolean, colour: Colour, text: string): string =>
	wished ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text;

function cellsOf(record: ReadRecord): Cells | undefined {
	switch (record.type) {
		case 'decision': {
			const call = objectOf(record.call);
			return { who: shortName(call?.agent), what: callText(call) };
		}
		case 'session':
			return {
				who: record.remote === undefined ? '?' : word(record.remote),
				what: `connection → ${word(record.listener)}`,
			};
		case 'control':
			return { who: word(record.operator), what: word(record.action) };
		default:
			return undefined;
	}
}

/** How a call ended, in a word. */
function ending(cause: Cause): readonly [string, Colour] {
	switch (familyOf(cause)) {
		case 'done':
			return ['done', 'dim'];
		case 'upstream':
			return ['failed', 'red'];
		default:
			return ['ended', 'yellow'];
	}
}
