import { timingSafeEqual } from 'node:crypto';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import { type Identity, identity, type SpiffeId } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';
import type { Clock } from '../model/ports.ts';
import { fingerprintOf, hashOf, keepToken, type TokenPlace, tokenPath } from './token-file.ts';

/** One listener with `authenticate: token`. Listeners that share a directory share the tokens in it. */
export interface TokenSettings {
	readonly listener: string;
	readonly directory: string;
	/** SPIFFE IDs. */
	readonly agents: readonly string[];
	/** Milliseconds between renewals; zero: never renewed. */
	readonly rotate: number;
}

export interface TokenDeps {
	readonly clock: Clock;
	/** Told once when tokens cannot be kept on disk, and why; those in force stay in force. */
	readonly report?: (broken: string) => void;
	/** Whether the token with this fingerprint was revoked: then another one is written in its place. */
	readonly revoked?: (fingerprint: string) => boolean;
}

/** The tokens of one listener. */
export interface ListenerTokens {
	/** Who shows this token. The username says nothing. One SHA-256 and one look-up: it is asked for every request. */
	identify(username: string, password: string): Identity | Refused;
}

export interface Tokens {
	/** Undefined for a listener that was not opened with tokens. */
	forListener(listener: string): ListenerTokens | undefined;
	/** Where the agent's token for this listener is. */
	path(listener: string, agent: string): string | undefined;
	/** Looks at every file and renews what is due or gone. Runs by itself; never rejects. */
	renew(): Promise<void>;
	close(): void;
}

/** How often the files are looked at, milliseconds; more often when tokens live shorter. */
const LOOK = 30_000;
/** Longest password that is hashed at all. */
const MAX_PASSWORD = 256;

/** Makes or takes over every token. Rejects when one cannot be written, or when two agents would share a file. */
export async function openTokens(settings: readonly TokenSettings[], deps: TokenDeps): Promise<Tokens> {
	const keeper = new TokenKeeper(settings, deps);
	await keeper.start();
	return keeper;
}

interface Slot {
	readonly place: TokenPlace;
	readonly agent: SpiffeId;
	readonly rotate: number;
	current: Entry | undefined;
	previous: Entry | undefined;
}

interface Entry {
	readonly slot: Slot;
	readonly hash: string;
	readonly identity: Identity;
	/** Milliseconds since the epoch; only of a token that was replaced. */
	readonly until: number;
}

class TokenKeeper implements Tokens {
	readonly #deps: TokenDeps;
	readonly #slots = new Map<string, Slot>();
	readonly #listeners = new Map<string, ReadonlySet<Slot>>();
	readonly #entries = new Map<string, Entry>();
	#timer: NodeJS.Timeout | undefined;
	#reported: string | undefined;
	#turn: Promise<void> = Promise.resolve();

	constructor(settings: readonly TokenSettings[], deps: TokenDeps) {
		this.#deps = deps;
		for (const setting of settings) {
			this.#listeners.set(setting.listener, new Set(setting.agents.map(id => this.#slotFor(setting, id))));
		}
	}

	async start(): Promise<void> {
		for (const slot of this.#slots.values()) await this.#keep(slot);
		if (this.#slots.size === 0) return;
		const rotations = [...this.#slots.values()].map(({ rotate }) => rotate).filter(rotate => rotate > 0);
		const often = Math.max(100, Math.min(LOOK, ...rotations.map(rotate => rotate / 4)));
		this.#timer = setInterval(() => void this.renew(), often);
		this.#timer.unref();
	}

	forListener(listener: string): ListenerTokens | undefined {
		const slots = this.#listeners.get(listener);
		if (slots === undefined) return undefined;
		return { identify: (_username, password) => this.#identify(slots, password) };
	}

	path(listener: string, agent: string): string | undefined {
		const slots = this.#listeners.get(listener) ?? [];
		for (const slot of slots) if (slot.agent.id === agent) return tokenPath(slot.place);
		return undefined;
	}

	renew(): Promise<void> {
		this.#turn = this.#turn.then(async () => {
			let broken: string | undefined;
			for (const slot of this.#slots.values()) {
				try {
					await this.#keep(slot);
				} catch (error) {
					broken ??= `token of ${slot.agent.id}: ${error instanceof Error ? error.message : String(error)}`;
				}
			}
			if (broken !== undefined && broken !== this.#reported) this.#deps.report?.(broken);
			this.#reported = broken;
		});
		return this.#turn;
	}

	close(): void {
		if (this.#timer !== undefined) clearInterval(this.#timer);
	}

	#identify(slots: ReadonlySet<Slot>, password: string): Identity | Refused {
		if (password === '') return refused('identity_missing', 'no token was shown');
		if (password.length > MAX_PASSWORD) return refused('identity_invalid', 'it is not a token');
		// Hashed first: how long the look-up takes says nothing about any token.
		const hash = hashOf(password);
		const entry = this.#entries.get(hash);
		if (entry === undefined || !timingSafeEqual(Buffer.from(hash), Buffer.from(entry.hash))) {
			return refused('identity_invalid', 'the token is not known');
		}
		// One that was revoked is known for as long as it is: whoever lets agents in refuses it by its name.
		if (this.#deps.clock.now() >= entry.until && !this.#dead(hash))
			return refused('identity_expired', 'the token was replaced by a new one');
		if (!slots.has(entry.slot)) return refused('listener_forbidden', 'the token is not for this listener');
		return entry.identity;
	}

	#dead(hash: string): boolean {
		return this.#deps.revoked?.(fingerprintOf(hash)) ?? false;
	}

	#slotFor({ directory, rotate }: TokenSettings, id: string): Slot {
		const agent = parseSpiffeId(id);
		if ('broken' in agent) throw new Error(`token: ${id} is not a SPIFFE ID: ${agent.broken}`);
		const name = agent.segments.at(-1);
		if (name === undefined) throw new Error(`token: ${id} has no path, and so no name for its token`);
		const place: TokenPlace = { directory, name };
		const key = tokenPath(place);
		const slot = this.#slots.get(key);
		if (slot === undefined) {
			const made: Slot = { place, agent, rotate, current: undefined, previous: undefined };
			this.#slots.set(key, made);
			return made;
		}
		if (slot.agent.id !== id)
			throw new Error(`token: ${slot.agent.id} and ${id} have the same last part, and so the same file ${key}`);
		if (slot.rotate !== rotate) throw new Error(`token: two listeners share ${key} and differ in \`rotate\``);
		return slot;
	}

	/** Takes what is on disk, or makes it; then lets exactly the current and the previous token in. */
	async #keep(slot: Slot): Promise<void> {
		const { rotate } = slot;
		const now = this.#deps.clock.now();
		const made = (hash: string, created: number): Entry =>
			entry(slot, hash, Number.POSITIVE_INFINITY, rotate === 0 ? undefined : created + 2 * rotate);
		// An agent may show it in the moment in which its file is there.
		let early: string | undefined;
		const coming = (hash: string): void => {
			early = hash;
			this.#entries.set(hash, made(hash, now));
		};
		const stored = await keepToken(slot.place, now, rotate, hash => this.#dead(hash), coming).catch(
			(error: unknown) => {
				if (early !== undefined) this.#entries.delete(early);
				throw error;
			},
		);
		const { current } = slot;
		if (current?.hash === stored.hash) {
			if (slot.previous !== undefined && now >= slot.previous.until && !this.#dead(slot.previous.hash)) {
				this.#entries.delete(slot.previous.hash);
				slot.previous = undefined;
			}
			return;
		}
		if (slot.previous !== undefined) this.#entries.delete(slot.previous.hash);
		// A token that is never renewed by itself was replaced on purpose: then the old one ends at once.
		const until = stored.created + rotate;
		const before = current?.hash ?? stored.previous;
		slot.previous =
			before === undefined || (now >= until && !this.#dead(before)) ? undefined : entry(slot, before, until, until);
		slot.current = made(stored.hash, stored.created);
		if (current !== undefined && slot.previous === undefined) this.#entries.delete(current.hash);
		if (slot.previous !== undefined) this.#entries.set(slot.previous.hash, slot.previous);
		this.#entries.set(slot.current.hash, slot.current);
	}
}

function entry(slot: Slot, hash: string, until: number, notAfter: number | undefined): Entry {
	const proof = { token: fingerprintOf(hash), ...(notAfter === undefined ? {} : { notAfter }) };
	return { slot, hash, until, identity: identity(slot.agent, 'token', proof) };
}
