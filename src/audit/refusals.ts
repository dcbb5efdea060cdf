import type { RefusedConnection } from '../model/record.ts';

/** How often one kind of refusal is recorded after its first, at most. */
const INTERVAL_MS = 10_000;

/** Kinds of refusals that are told apart per listener at one time; the rest of a listener shares one. */
const KINDS = 64;

/** Longest texts that come from whoever is not identified. */
const DETAIL = 200;
const CLAIMED = 512;

interface Kind {
	readonly sample: RefusedConnection;
	/** Refusals since the last record. */
	count: number;
	first: number;
	last: number;
	recorded: number;
}

/** The fields of one record: `count` refusals between `first` and `last`. */
export interface RefusalSummary {
	readonly event: 'refused';
	readonly cause: string;
	readonly detail: string;
	readonly listener: string;
	readonly remote?: string;
	readonly claimed?: string;
	readonly count: number;
	readonly first: number;
	readonly last: number;
}

/**
 * Coalesces the refusals of connections on which nobody was identified: the first of a kind (listener, cause, detail,
 * remote network) is told at once, what follows in one summary per interval. Whoever knocks thousands of times, from
 * however many addresses, costs a bounded number of records and bounded memory.
 */
export class Refusals {
	readonly #tell: (summary: RefusalSummary) => void;
	readonly #listeners = new Map<string, Map<string, Kind>>();

	constructor(tell: (summary: RefusalSummary) => void) {
		this.#tell = tell;
	}

	add(refusal: RefusedConnection, now: number): void {
		let kinds = this.#listeners.get(refusal.listener);
		if (kinds === undefined) {
			kinds = new Map();
			this.#listeners.set(refusal.listener, kinds);
		}
		const network = networkOf(refusal.remote);
		let key = `${refusal.cause} ${network} ${refusal.detail.slice(0, DETAIL)}`;
		let shared = false;
		if (!kinds.has(key) && kinds.size >= KINDS) {
			key = '';
			shared = true;
		}
		const known = kinds.get(key);
		if (known !== undefined) {
			if (known.count === 0) known.first = now;
			known.count++;
			known.last = now;
			if (now - known.recorded >= INTERVAL_MS) this.#record(known, now);
			return;
		}
		const kind: Kind = {
			sample: shared ? { ...refusal, detail: 'several', remote: '', claimed: '' } : { ...refusal, remote: network },
			count: 1,
			first: now,
			last: now,
			recorded: now,
		};
		kinds.set(key, kind);
		this.#record(kind, now);
	}

	/** Tells what is due; to be called about once a second. `all`: whatever is not told yet, before the end. */
	tick(now: number, all = false): void {
		for (const [listener, kinds] of this.#listeners) {
			for (const [key, kind] of kinds) {
				if (!all && now - kind.recorded < INTERVAL_MS) continue;
				if (kind.count > 0) this.#record(kind, now);
				else kinds.delete(key);
			}
			if (kinds.size === 0) this.#listeners.delete(listener);
		}
	}

	#record(kind: Kind, now: number): void {
		const { listener, cause, detail, remote, claimed } = kind.sample;
		const { count, first, last } = kind;
		kind.count = 0;
		kind.recorded = now;
		this.#tell({
			event: 'refused',
			cause,
			detail: detail.slice(0, DETAIL),
			listener,
			...(remote === '' ? {} : { remote }),
			...(claimed === undefined || claimed === '' ? {} : { claimed: claimed.slice(0, CLAIMED) }),
			count,
			first,
			last,
		});
	}
}

/** IPv6 addresses of one /64 are one remote: a host has the whole of it. */
function networkOf(remote: string): string {
	if (!remote.includes(':') || remote.startsWith('::ffff:')) return remote.slice(0, 64);
	const head = remote.split('%')[0] ?? '';
	const groups = head.split('::')[0]?.split(':') ?? [];
	return groups.length >= 4 || head.includes('::') ? `${groups.slice(0, 4).join(':')}::/64` : remote.slice(0, 64);
}
