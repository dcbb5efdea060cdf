import type { Socket } from 'node:net';
import type { Identity } from '../../model/agent.ts';
import type { Cause, Refused } from '../../model/cause.ts';
import type { SessionProtocol, SessionSettings } from '../../protocols/contract.ts';
import type { SessionDeps, SessionLimits } from './deps.ts';
import { Session } from './session.ts';
import { SessionSet } from './set.ts';

export type { Decided, SessionDeps, SessionLimits, SessionOutcome } from './deps.ts';

/** All sessions of one door: they share a protocol, its settings, and one timer. */
export class SessionDoor {
	readonly #protocol: SessionProtocol;
	readonly #shared: unknown;
	readonly #settings: SessionSettings;
	readonly #deps: SessionDeps;
	readonly #limits: SessionLimits;
	readonly #sessions = new SessionSet();
	/** The last computation that was asked for; the next one waits for it. */
	#computing: Promise<unknown> = Promise.resolve();

	/** `shared` is of the door that had these agents before, when there was one; its sessions may be open still. */
	constructor(
		protocol: SessionProtocol,
		settings: SessionSettings,
		deps: SessionDeps,
		limits: SessionLimits,
		shared: unknown = protocol.share(),
	) {
		this.#protocol = protocol;
		this.#shared = shared;
		this.#settings = settings;
		this.#deps = deps;
		this.#limits = limits;
	}

	/** Sessions with an open socket on either side. */
	get size(): number {
		return this.#sessions.size;
	}

	/** Sessions that are under way. */
	get busy(): number {
		return this.#sessions.busy;
	}

	/** Runs a session on an accepted socket; `who` where the socket itself says who connects. */
	accept(socket: Socket, who?: Identity | Refused): void {
		const machine = this.#protocol.open(this.#settings, this.#shared);
		const session = new Session(
			socket,
			machine,
			this.#deps,
			this.#limits,
			run => this.#compute(run),
			() => this.#sessions.delete(session),
		);
		this.#sessions.add(session);
		session.accept(who);
	}

	/**
	 * One key derivation at a time: an upstream chooses how long they take, and they run on the threads that name
	 * look-ups need too.
	 */
	#compute(run: () => Promise<unknown>): Promise<unknown> {
		const result = this.#computing.then(run);
		this.#computing = result.catch(() => {});
		return result;
	}

	/** Ends those who have not asked for anything yet. */
	drain(): void {
		this.#sessions.drain();
	}

	/** Ends every session, identified or not. */
	end(cause: Cause): void {
		this.#sessions.end(cause);
	}
}
