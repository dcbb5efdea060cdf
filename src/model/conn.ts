import type { Identity } from './agent.ts';
import type { Life } from './life.ts';
import type { Target } from './target.ts';

/**
 * Everything about a connection that is not bytes. Calls take a Conn, never a socket, so what is inside a
 * tunnel, or was captured, enters again as a Conn with a parent.
 */
export interface Conn {
	/** Unique within the instance's life. */
	readonly id: string;
	readonly identity: Identity;
	/** Name of the listener. */
	readonly listener: string;
	/** Says revoked, expired or drained, and ends everything that hangs on the connection. */
	readonly life: Life;
	readonly parent?: Conn;
	/** Where every call of this connection must go, whatever it names (a door, an intercepted tunnel). */
	readonly pinnedTarget?: Target;
}
