import { objectOf, type ReadRecord, type Row, textOf } from '../audit/query.ts';
import { visible } from './terminal.ts';

/** Longest text of a record that is shown. */
const LONGEST = 160;

/** Text of agents and upstreams as records hold it, in one line that is safe to show. */
export function plain(text: string): string {
	const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
	return visible(shown).replaceAll('\n', '\\u000a');
}

const COLOURS = { red: 31, green: 32, yellow: 33, dim: 2 } as const;

/** Decisions whose description is kept until their outcome comes. */
const REMEMBERED = 4096;

/** Makes records readable, one line each. */
export class Show {
	readonly #colour: boolean;
	readonly #date: boolean;
	readonly #decisions = new Map<string, string>();

	/** `date`: the whole timestamp rather than the time of day. */
	constructor(colour: boolean, date: boolean) {
		this.#colour = colour;
		this.#date = date;
	}

	record(record: ReadRecord): string {
		switch (record.type) {
			case 'decision':
				return this.#decision(record, undefined);
			case 'outcome':
				return this.#line(record, 'done', 'dim', this.#outcomeOf(record, true));
			case 'session': {
				const { listener, remote, detail, count } = record;
				const from = textOf(remote) === undefined ? '' : ` from ${plain(String(remote))}`;
				const text = `${plain(String(listener))}${from}: ${plain(String(record.cause))}, ${plain(String(detail))}`;
				return this.#line(
					record,
					'refuse',
					'red',
					typeof count === 'number' && count > 1 ? `${text} (${count} times)` : text,
				);
			}
			case 'control': {
				const detail = record.detail === undefined ? '' : ` ${plain(JSON.stringify(record.detail))}`;
				return this.#line(
					record,
					'control',
					'yellow',
					`${plain(String(record.action))} by ${plain(String(record.operator))}${detail}`,
				);
			}
			case 'checkpoint': {
				const facts = objectOf(record.checkpoint);
				const signed = record.signature === undefined ? 'not signed' : 'signed';
				return this.#line(record, 'check', 'dim', `checkpoint up to record ${String(facts?.seq)}, ${signed}`);
			}
			case 'gap':
				return this.#line(record, 'gap', 'red', plain(JSON.stringify(record.gap)));
			default:
				return this.#line(record, '?', 'red', plain(JSON.stringify(record)));
		}
	}

	row({ decision, outcome }: Row): string {
		return this.#decision(decision, outcome);
	}

	#decision(record: ReadRecord, outcome: ReadRecord | undefined): string {
		const call = objectOf(record.call);
		const target = objectOf(call?.target);
		const agent = textOf(call?.agent)?.split('/').at(-1) ?? '?';
		const to = textOf(target?.name) ?? `${String(target?.host)}:${String(target?.port)}`;
		const what = `${plain(agent)}  ${plain(`${textOf(call?.operation) ?? ''} ${textOf(call?.resource) ?? ''}`)} → ${plain(to)}`;
		const id = textOf(record.decision_id);
		if (id !== undefined) {
			this.#decisions.set(id, what);
			if (this.#decisions.size > REMEMBERED) {
				const first = this.#decisions.keys().next();
				if (first.done !== true) this.#decisions.delete(first.value);
			}
		}
		const why: string[] = [];
		if (record.path !== 'sallyport/request') why.push(plain(String(record.path).replace('sallyport/', '')));
		if (textOf(record.cause) !== undefined) why.push(plain(String(record.cause)));
		if (record.observed === true) why.push('observed');
		for (const reason of Array.isArray(record.reasons) ? record.reasons.slice(0, 3) : []) {
			why.push(plain(String(objectOf(reason)?.msg ?? '')));
		}
		if (textOf(record.detail) !== undefined) why.push(plain(String(record.detail)));
		if (outcome !== undefined) why.push(this.#outcomeOf(outcome, false));
		const verdict = textOf(record.verdict) ?? '?';
		const colour = verdict === 'allow' ? 'green' : verdict === 'ask' ? 'yellow' : 'red';
		const tail = why.length === 0 ? '' : `  ${this.#paint('dim', why.join(' · '))}`;
		return this.#line(record, plain(verdict), colour, what + tail);
	}

	#outcomeOf(record: ReadRecord, alone: boolean): string {
		const parts: string[] = [];
		const id = textOf(record.decision_id) ?? '';
		if (alone) {
			parts.push(this.#decisions.get(id) ?? plain(id));
			this.#decisions.delete(id);
		}
		parts.push(plain(String(record.cause)));
		if (typeof record.status === 'number') parts.push(String(record.status));
		if (typeof record.duration_ms === 'number') parts.push(`${record.duration_ms} ms`);
		const error = textOf(objectOf(record.error)?.message);
		if (error !== undefined) parts.push(plain(error));
		return parts.join(' · ');
	}

	#line(record: ReadRecord, word: string, colour: keyof typeof COLOURS, text: string): string {
		const timestamp = plain(textOf(record.timestamp) ?? '');
		const time = this.#date ? timestamp.replace('T', ' ') : timestamp.slice(11, 23);
		return `${this.#paint('dim', time)}  ${this.#paint(colour, word.padEnd(7))}  ${text}\n`;
	}

	#paint(colour: keyof typeof COLOURS, text: string): string {
		return this.#colour ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text;
	}
}
