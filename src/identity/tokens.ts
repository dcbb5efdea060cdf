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

/** The tokens of one configuration. */
export interface Tokens {
	/** Undefined for a listener that was not opened with tokens. */
	forListener(listener: string): ListenerTokens | undefined;
	/** Its tokens are renewed no more, unless another configuration has them too. */
	close(): void;
}

/** How often the files are looked at, milliseconds; more often when tokens live shorter. */
const LOOK = 30_000;
/** Longest password that is hashed at all. */
const MAX_PASSWORD = 256;

interface Slot {
	readonly place: TokenPlace;
	readonly agent: SpiffeId;
	/** By the configurations that have it; the last one's is in force. */
	readonly rotates: Map<Tokens, number>;
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

/**
 * The tokens of all configurations. A token is kept in one place however many of them have it, so that while one takes
 * over from another neither replaces a token that the other does not know of.
 */
export class TokenKeeper {
	readonly #deps: TokenDeps;
	/** By path and agent. */
	readonly #slots = new Map<string, Slot>();
	/** By hash; more than one only while two agents have one file, one by each of two configurations. */
	readonly #entries = new Map<string, readonly Entry[]>();
	#timer: NodeJS.Timeout | undefined;
	#often: number | undefined;
	#reported: string | undefined;
	#closed = false;
	#turn: Promise<unknown> = Promise.resolve();

	constructor(deps: TokenDeps) {
		this.#deps = deps;
	}

	/**
	 * Makes or takes over every token of a configuration. Rejects, and leaves everything as it was, when one cannot be
	 * written, or when two agents would share a file.
	 */
	async open(settings: readonly TokenSettings[]): Promise<Tokens> {
		const places = placesOf(settings);
		const listeners = new Map<string, ReadonlySet<Slot>>();
		const tokens: Tokens = {
			forListener: listener => {
				const slots = listeners.get(listener);
				return slots && { identify: (_username, password) => this.#identify(slots, password) };
			},
			close: () => this.#release(tokens),
		};
		for (const { listener, rotate, agents } of places)
			listeners.set(listener, new Set(agents.map(({ place, agent }) => this.#take(tokens, place, agent, rotate))));
		try {
			await this.#inTurn(async () => {
				for (const slot of new Set([...listeners.values()].flatMap(slots => [...slots]))) await this.#keep(slot);
			});
		} catch (error) {
			tokens.close();
			throw error;
		}
		this.#tick();
		return tokens;
	}

	/** Looks at every file and renews what is due or gone. Runs by itself; never rejects. */
	renew(): Promise<void> {
		return this.#inTurn(async () => {
			let broken: string | undefined;
			for (const slot of [...this.#slots.values()]) {
				try {
					await this.#keep(slot);
				} catch (error) {
					broken ??= `token of ${slot.agent.id}: ${error instanceof Error ? error.message : String(error)}`;
				}
			}
			if (broken !== undefined && broken !== this.#reported) this.#deps.report?.(broken);
			this.#reported = broken;
		});
	}

	/** Whatever was begun is given up before the next file. */
	close(): void {
		this.#closed = true;
		clearInterval(this.#timer);
	}

	#inTurn<T>(run: () => Promise<T>): Promise<T> {
		const turn = this.#turn.then(run);
		this.#turn = turn.catch(() => {});
		return turn;
	}

	#take(tokens: Tokens, place: TokenPlace, agent: SpiffeId, rotate: number): Slot {
		const key = keyOf(place, agent);
		const slot = this.#slots.get(key) ?? { place, agent, rotates: new Map(), current: undefined, previous: undefined };
		this.#slots.set(key, slot);
		slot.rotates.set(tokens, rotate);
		return slot;
	}

	#release(tokens: Tokens): void {
		for (const [key, slot] of this.#slots) {
			if (!slot.rotates.delete(tokens) || slot.rotates.size > 0) continue;
			this.#slots.delete(key);
			for (const entry of [slot.current, slot.previous]) if (entry !== undefined) this.#forget(entry);
		}
		this.#tick();
	}

	/** Looks as often as the shortest life asks for. */
	#tick(): void {
		const rotations = [...this.#slots.values()].map(rotateOf).filter(rotate => rotate > 0);
		const often =
			this.#slots.size === 0 || this.#closed
				? undefined
				: Math.max(100, Math.min(LOOK, ...rotations.map(rotate => rotate / 4)));
		if (often === this.#often) return;
		this.#often = often;
		clearInterval(this.#timer);
		if (often === undefined) return;
		this.#timer = setInterval(() => void this.renew(), often);
		this.#timer.unref();
	}

	#know(entry: Entry): void {
		const others = (this.#entries.get(entry.hash) ?? []).filter(({ slot }) => slot !== entry.slot);
		this.#entries.set(entry.hash, [...others, entry]);
	}

	#forget({ hash, slot }: Entry): void {
		const others = (this.#entries.get(hash) ?? []).filter(other => other.slot !== slot);
		if (others.length > 0) this.#entries.set(hash, others);
		else this.#entries.delete(hash);
	}

	#identify(slots: ReadonlySet<Slot>, password: string): Identity | Refused {
		if (password === '') return refused('identity_missing', 'no token was shown');
		if (password.length > MAX_PASSWORD) return refused('identity_invalid', 'it is not a token');
		// Hashed first: how long the look-up takes says nothing about any token.
		const hash = hashOf(password);
		const entries = this.#entries.get(hash);
		const entry = entries?.find(({ slot }) => slots.has(slot)) ?? entries?.[0];
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

	/** Takes what is on disk, or makes it; then lets exactly the current and the previous token in. */
	async #keep(slot: Slot): Promise<void> {
		if (this.#closed || slot.rotates.size === 0) return;
		const rotate = rotateOf(slot);
		const now = this.#deps.clock.now();
		const made = (hash: string, created: number): Entry =>
			entry(slot, hash, Number.POSITIVE_INFINITY, rotate === 0 ? undefined : created + 2 * rotate);
		// An agent may show it in the moment in which its file is there.
		let early: Entry | undefined;
		const coming = (hash: string): void => {
			early = made(hash, now);
			this.#know(early);
		};
		const stored = await keepToken(slot.place, now, rotate, hash => this.#dead(hash), coming).catch(
			(error: unknown) => {
				if (early !== undefined) this.#forget(early);
				throw error;
			},
		);
		// The last configuration that had it let go of it meanwhile.
		if (slot.rotates.size === 0) {
			if (early !== undefined) this.#forget(early);
			return;
		}
		const { current } = slot;
		if (current?.hash === stored.hash) {
			if (slot.previous !== undefined && now >= slot.previous.until && !this.#dead(slot.previous.hash)) {
				this.#forget(slot.previous);
				slot.previous = undefined;
			}
			return;
		}
		if (slot.previous !== undefined) this.#forget(slot.previous);
		// A token that is never renewed by itself was replaced on purpose: then the old one ends at once.
		const until = stored.created + rotate;
		const before = current?.hash ?? stored.previous;
		slot.previous =
			before === undefined || (now >= until && !this.#dead(before)) ? undefined : entry(slot, before, until, until);
		slot.current = made(stored.hash, stored.created);
		if (current !== undefined && slot.previous === undefined) this.#forget(current);
		if (slot.previous !== undefined) this.#know(slot.previous);
		this.#know(slot.current);
	}
}

function entry(slot: Slot, hash: string, until: number, notAfter: number | undefined): Entry {
	const proof = { token: fingerprintOf(hash), ...(notAfter === undefined ? {} : { notAfter }) };
	return { slot, hash, until, identity: identity(slot.agent, 'token', proof) };
}

interface Placed {
	readonly listener: string;
	readonly rotate: number;
	readonly agents: readonly { readonly place: TokenPlace; readonly agent: SpiffeId }[];
}

/** Where each agent's token is. Throws when two agents would share a file, or two listeners one and differ in `rotate`. */
function placesOf(settings: readonly TokenSettings[]): readonly Placed[] {
	const known = new Map<string, { readonly id: string; readonly rotate: number }>();
	return settings.map(({ listener, directory, rotate, agents }) => ({
		listener,
		rotate,
		agents: agents.map(id => {
			const agent = parseSpiffeId(id);
			if ('broken' in agent) throw new Error(`token: ${id} is not a SPIFFE ID: ${agent.broken}`);
			const name = agent.segments.at(-1);
			if (name === undefined) throw new Error(`token: ${id} has no path, and so no name for its token`);
			const place: TokenPlace = { directory, name };
			const path = tokenPath(place);
			const other = known.get(path) ?? { id, rotate };
			if (other.id !== id)
				throw new Error(`token: ${other.id} and ${id} have the same last part, and so the same file ${path}`);
			if (other.rotate !== rotate) throw new Error(`token: two listeners share ${path} and differ in \`rotate\``);
			known.set(path, other);
			return { place, agent };
		}),
	}));
}

const keyOf = (place: TokenPlace, agent: SpiffeId): string => `${tokenPath(place)} ${agent.id}`;

/** Milliseconds; zero: never. */
const rotateOf = ({ rotates }: Slot): number => [...rotates.values()].at(-1) ?? 0;
