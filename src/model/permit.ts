import type { Conn } from './conn.ts';
import type { Life } from './life.ts';
import type { Target } from './target.ts';

/**
 * The value that only an allowing verdict yields. The classes behind these types are made only in
 * policy/permit.ts and have a private brand: `dial` and `forward` check the brand, so an object of this shape is no permit.
 */
interface Permit {
	readonly decisionId: string;
	readonly conn: Conn;
	readonly target: Target;
	readonly life: Life;
}

/** Allows one dial and the protocol's own bytes on that connection. */
export interface SessionPermit extends Permit {
	readonly kind: 'session';
}

/** Allows one forward; spent on its first use, a safe retry being attempt 2 of the same permit. */
export interface CallPermit extends Permit {
	readonly kind: 'call';
}

export type AnyPermit = SessionPermit | CallPermit;
