/** How often the refusals of one agent are recorded after the first, at most. */
const INTERVAL_MS = 60_000;

/** Agents that are told apart; the others share one account. */
const TRACKED = 4096;

/** What the outcome of a permitted call is taken to need, bytes. */
export const OUTCOME_BYTES = 512;

/** What one agent has taken of the room since it became scarce. */
export interface Account {
	/** Undefined for the agents that share one. */
	readonly agent: string | undefined;
	bytes: number;
	/** Decisions that were not recorded: since the last record about them, and in all. */
	unrecorded: number;
	refused: number;
	/** Milliseconds since the epoch: the first and the last of them, and of the last record about them. */
	first: number;
	last: number;
	told: number;
	/** Since when it has no room. */
	since: number | undefined;
}

/** Decisions of one agent that were refused because its records had taken their share. */
export interface Overdrawn {
	readonly agent: string | undefined;
	readonly first: number;
	readonly last: number;
	readonly count: number;
}

export interface SharesOptions {
	/** Bytes that decisions may take in all. */
	readonly room: number;
	/** Of the room that is left and what the agent took of it: how much may be the agent's. 1: all. */
	readonly share: number;
	/** An agent has no room from now on. */
	readonly begins: (agent: string | undefined) => void;
	/** False when there is no room to record it: it is told again, with what is added until then. */
	readonly tell: (overdrawn: Overdrawn) => boolean;
}

/**
 * Keeps one agent from taking all the room of the audit directory. While that is less than half full nobody is
 * measured. From then on what each agent adds is counted, until room comes back: one whose records are more than its
 * share of them and the room that is left is refused, and each that comes after it finds room. Its refusals are told
 * at once and then summed up.
 */
export class Shares {
	readonly #o: SharesOptions;
	readonly #half: number;
	readonly #accounts = new Map<string, Account>();
	#others: Account | undefined;

	constructor(options: SharesOptions) {
		this.#o = options;
		this.#half = options.room / 2;
	}

	/** Undefined as long as nobody is measured. `used`: bytes of the directory. */
	account(agent: string, used: number): Account | undefined {
		if (used <= this.#half) return undefined;
		let account = this.#accounts.get(agent);
		if (account !== undefined) return account;
		if (this.#accounts.size >= TRACKED) {
			this.#others ??= opened(undefined);
			return this.#others;
		}
		account = opened(agent);
		this.#accounts.set(agent, account);
		return account;
	}

	/** Whether the agent may add a record. When no room is left at all, that is nobody's share: the limit says so. */
	admits({ bytes }: Account, used: number): boolean {
		const left = this.#o.room - used;
		return left <= 0 || bytes <= this.#o.share * (bytes + left);
	}

	/** A decision of the agent was refused, because `admits` said so. */
	refuse(account: Account, now: number): void {
		if (account.unrecorded === 0) account.first = now;
		account.unrecorded++;
		account.refused++;
		account.last = now;
		if (account.since === undefined) {
			account.since = now;
			this.#o.begins(account.agent);
		}
		if (now - account.told >= INTERVAL_MS) this.#tell(account, now);
	}

	/** Tells what is due; to be called about once a second. `all`: whatever is not told yet. */
	tick(now: number, all = false): void {
		for (const account of this.#all()) {
			if (account.unrecorded > 0 && (all || now - account.told >= INTERVAL_MS)) this.#tell(account, now);
		}
	}

	/** Room has come back: everybody is measured anew. */
	restart(now: number): void {
		this.tick(now, true);
		this.#accounts.clear();
		this.#others = undefined;
	}

	/** Agents that have no room, and how many of their decisions were refused for it. */
	overdrawn(): readonly { readonly agent: string | undefined; readonly since: number; readonly refused: number }[] {
		const found: { agent: string | undefined; since: number; refused: number }[] = [];
		for (const { agent, since, refused } of this.#all()) if (since !== undefined) found.push({ agent, since, refused });
		return found;
	}

	*#all(): Generator<Account> {
		yield* this.#accounts.values();
		if (this.#others !== undefined) yield this.#others;
	}

	#tell(account: Account, now: number): void {
		const { agent, first, last, unrecorded } = account;
		account.told = now;
		if (this.#o.tell({ agent, first, last, count: unrecorded })) account.unrecorded = 0;
	}
}

const opened = (agent: string | undefined): Account => ({
	agent,
	bytes: 0,
	unrecorded: 0,
	refused: 0,
	first: 0,
	last: 0,
	told: Number.NEGATIVE_INFINITY,
	since: undefined,
});
