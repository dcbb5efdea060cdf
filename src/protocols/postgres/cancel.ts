import { randomBytes } from 'node:crypto';
import type { SessionPermit } from '../../model/permit.ts';

/** A live session as a cancel request finds it. */
export interface Cancellable {
	readonly permit: SessionPermit;
	/** Process id and secret at the upstream. */
	readonly upstreamKey: Buffer;
	/** SPIFFE ID of the session's agent. */
	readonly agent: string;
}

/**
 * The keys that agents of one door hold, and whose sessions they are. The upstream's own keys never reach an agent,
 * and a key leads only to a session of the same door. At most one entry per open session.
 */
export class CancelKeys {
	readonly #sessions = new Map<string, Cancellable>();

	get size(): number {
		return this.#sessions.size;
	}

	/** Makes a key (process id and secret) for the agent: 4 bytes of secret in protocol 3.0, 32 in 3.2. */
	add(session: Cancellable, minor: 0 | 2): Buffer {
		for (;;) {
			const key = randomBytes(4 + (minor === 2 ? 32 : 4));
			// Clients read the process id as a signed number and expect a positive one.
			key[0] = (key[0] ?? 0) & 0x7f;
			const name = key.toString('latin1');
			if (this.#sessions.has(name)) continue;
			this.#sessions.set(name, session);
			return key;
		}
	}

	find(key: Buffer): Cancellable | undefined {
		return this.#sessions.get(key.toString('latin1'));
	}

	remove(key: Buffer): void {
		this.#sessions.delete(key.toString('latin1'));
	}
}
