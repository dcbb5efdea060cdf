import { objectOf, type ReadRecord, textOf } from '../../audit/read-record.ts';
import type { Judged } from './judge.ts';

/** Decisions that change in the same way. */
export interface Change {
	readonly from: string;
	readonly to: string;
	readonly from_cause?: string;
	readonly to_cause?: string;
	readonly agent: string;
	readonly target: string;
	/** Protocol and operation. */
	readonly operation: string;
	readonly phase: string;
	/** Somebody said that it is meant. */
	readonly intended: boolean;
	count: number;
	/** Id of the first. */
	readonly example: string;
}

/** `deny:allow,agent=researcher,target=crm,operation=POST`: every part that is given must fit. */
export interface Intention {
	readonly from: string;
	readonly to: string;
	readonly agent?: string;
	readonly target?: string;
	readonly operation?: string;
}

export interface Totals {
	decisions: number;
	unchanged: number;
	/** The verdict is the same, the cause another. */
	other_cause: number;
	changed: number;
	unintended: number;
	/** Policy was not asked. */
	not_judged: number;
	undetermined: number;
}

const VERDICTS = ['allow', 'ask', 'deny'];
const MOST_GROUPS = 10_000;
const MOST_REASONS = 100;

/** Undefined when the text is no intention. */
export function readIntention(text: string): Intention | undefined {
	const [change = '', ...conditions] = text.split(',');
	const [from = '', to = '', ...more] = change.split(':');
	if (!VERDICTS.includes(from) || !VERDICTS.includes(to) || from === to || more.length > 0) return undefined;
	const read: Record<string, string> = { from, to };
	for (const condition of conditions) {
		const [, key = '', value = ''] = /^(agent|target|operation)=(.+)$/.exec(condition) ?? [];
		if (key === '' || key in read) return undefined;
		read[key] = value;
	}
	return read as unknown as Intention;
}

/** Counts what changes. Holds groups, never records: its size does not grow with what is read. */
export class Changes {
	readonly totals: Totals = {
		decisions: 0,
		unchanged: 0,
		other_cause: 0,
		changed: 0,
		unintended: 0,
		not_judged: 0,
		undetermined: 0,
	};
	readonly #intended: readonly Intention[];
	readonly #groups = new Map<string, Change>();
	readonly #reasons = new Map<string, number>();

	constructor(intended: readonly Intention[]) {
		this.#intended = intended;
	}

	add(record: ReadRecord, judged: Judged): void {
		const { totals } = this;
		totals.decisions++;
		if (judged.kind === 'not_judged') totals.not_judged++;
		else if (judged.kind === 'undetermined') {
			totals.undetermined++;
			const key = this.#reasons.has(judged.why) || this.#reasons.size < MOST_REASONS ? judged.why : 'other reasons';
			this.#reasons.set(key, (this.#reasons.get(key) ?? 0) + 1);
		} else if (judged.before.verdict !== judged.after.verdict) this.#changed(record, judged);
		else if (judged.before.cause !== judged.after.cause) totals.other_cause++;
		else totals.unchanged++;
	}

	/** What lets through more first, then what lets through less; the most frequent first in each. */
	changes(): readonly Change[] {
		const rank = ({ from, to, intended }: Change): number =>
			(intended ? 10 : 0) + VERDICTS.indexOf(to) * 3 - VERDICTS.indexOf(from);
		return [...this.#groups.values()].toSorted((a, b) => rank(a) - rank(b) || b.count - a.count);
	}

	reasons(): readonly { readonly why: string; readonly count: number }[] {
		return [...this.#reasons].map(([why, count]) => ({ why, count })).toSorted((a, b) => b.count - a.count);
	}

	#changed(record: ReadRecord, { path, before, after }: Judged & { readonly kind: 'judged' }): void {
		const call = objectOf(record.call);
		const to = objectOf(call?.target);
		const facts = {
			from: before.verdict,
			to: after.verdict,
			agent: textOf(call?.agent) ?? '?',
			target: textOf(to?.name) ?? `${textOf(to?.host) ?? '?'}:${typeof to?.port === 'number' ? to.port : '?'}`,
			operation: `${textOf(call?.protocol) ?? '?'} ${textOf(call?.operation) ?? '?'}`,
		};
		const intended = this.#intended.some(intention => fits(intention, facts));
		this.totals.changed++;
		if (!intended) this.totals.unintended++;
		const key = JSON.stringify([...Object.values(facts), before.cause, after.cause, path]);
		const group = this.#groups.get(key);
		if (group !== undefined) group.count++;
		else if (this.#groups.size < MOST_GROUPS)
			this.#groups.set(key, {
				...facts,
				...(before.cause === undefined ? {} : { from_cause: before.cause }),
				...(after.cause === undefined ? {} : { to_cause: after.cause }),
				phase: path,
				intended,
				count: 1,
				example: textOf(record.decision_id) ?? '',
			});
	}
}

type Facts = Pick<Change, 'from' | 'to' | 'agent' | 'target' | 'operation'>;

function fits({ from, to, agent, target, operation }: Intention, facts: Facts): boolean {
	if (from !== facts.from || to !== facts.to) return false;
	if (agent !== undefined && agent !== facts.agent && !(!agent.includes('/') && facts.agent.endsWith(`/${agent}`)))
		return false;
	if (target !== undefined && target !== facts.target) return false;
	return operation === undefined || operation === facts.operation || facts.operation.endsWith(` ${operation}`);
}
