import type { Identity } from './agent.ts';
import type { Life } from './life.ts';

/**
 * Everything about a connection that is not bytes. Calls take a Conn, never a socket, so what did not come by a
 * socket of its own can be decided too.
 */
export interface Conn {
	/** Unique within the instance's life. */
	readonly id: string;
	readonly identity: Identity;
	/** Name of the listener. */
	readonly listener: string;
	/** Says revoked, expired or drained, and ends everything that hangs on the connection. */
	readonly life: Life;
}
