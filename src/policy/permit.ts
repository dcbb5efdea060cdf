import type { Conn } from '../model/conn.ts';
import type { Life } from '../model/life.ts';
import type { AnyPermit, CallPermit, SessionPermit } from '../model/permit.ts';
import type { Target } from '../model/target.ts';

/**
 * The only place where permits are made. The classes are not exported and carry a private field, so an object of
 * the same shape, or one that inherits from a permit, is none.
 */

interface PermitFields {
	readonly decisionId: string;
	readonly conn: Conn;
	readonly target: Target;
	readonly life: Life;
}

class Session implements SessionPermit {
	readonly #brand = true;
	readonly kind = 'session';
	readonly decisionId: string;
	readonly conn: Conn;
	readonly target: Target;
	readonly life: Life;

	constructor(fields: PermitFields) {
		this.decisionId = fields.decisionId;
		this.conn = fields.conn;
		this.target = fields.target;
		this.life = fields.life;
		Object.freeze(this);
	}

	static is(value: unknown): value is SessionPermit {
		return typeof value === 'object' && value !== null && #brand in value && value.#brand;
	}
}

class Call implements CallPermit {
	#attempts = 0;
	readonly kind = 'call';
	readonly decisionId: string;
	readonly conn: Conn;
	readonly target: Target;
	readonly life: Life;

	constructor(fields: PermitFields) {
		this.decisionId = fields.decisionId;
		this.conn = fields.conn;
		this.target = fields.target;
		this.life = fields.life;
		Object.freeze(this);
	}

	static is(value: unknown): value is CallPermit {
		return typeof value === 'object' && value !== null && #attempts in value;
	}

	static spend(value: unknown): 1 | 2 | undefined {
		if (typeof value !== 'object' || value === null || !(#attempts in value)) return undefined;
		if (value.life.ended || value.#attempts >= 2) return undefined;
		value.#attempts += 1;
		return value.#attempts === 1 ? 1 : 2;
	}
}

/** Called by admission alone, for a decision that allows. */
export const grantSession = (fields: PermitFields): SessionPermit => new Session(fields);

/** Called by admission alone, for a decision that allows. */
export const grantCall = (fields: PermitFields): CallPermit => new Call(fields);

export const isSessionPermit = (value: unknown): value is SessionPermit => Session.is(value);

export const isCallPermit = (value: unknown): value is CallPermit => Call.is(value);

export const isPermit = (value: unknown): value is AnyPermit => Session.is(value) || Call.is(value);

/**
 * Uses a call's permit for one forward, as the last check before it. Answers which attempt this is: 1, then 2 for
 * the one safe retry; undefined when it is no permit, is spent, or its life has ended.
 */
export const spend = (permit: CallPermit): 1 | 2 | undefined => Call.spend(permit);
