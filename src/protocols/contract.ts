import type { Identity } from '../model/agent.ts';
import type { CallFacts, Section } from '../model/call.ts';
import type { Cause, Refused } from '../model/cause.ts';
import type { SessionPermit } from '../model/permit.ts';
import type { Decision } from '../model/verdict.ts';

export type Side = 'agent' | 'upstream';

/**
 * What a session machine is told. After a step that wants an answer the machine is fed nothing else but that
 * answer, `ended`, `expired`, `tick` and a `closed` with an error; bytes and ends of streams wait, bounded, with back-pressure.
 */
export type SessionEvent =
	/** Always first. The identity is there already where the socket says who it is (`as`, `unix`). */
	| { readonly kind: 'accepted'; readonly identity?: Identity }
	| { readonly kind: 'bytes'; readonly side: Side; readonly data: Buffer }
	/** Answers `startTls` of the agent's side and `authenticate`. */
	| { readonly kind: 'identified'; readonly identity: Identity; readonly alpn?: string }
	/** Answers `startTls` of the upstream's side, and of the agent's where TLS did not say who it is and a token may. */
	| { readonly kind: 'secured'; readonly alpn?: string }
	/** Answers `decide`: with a permit exactly when the decision allows. */
	| { readonly kind: 'decided'; readonly decision: Decision; readonly permit?: SessionPermit }
	/** Answers `dial` and `cancel`. */
	| { readonly kind: 'dialled' }
	| { readonly kind: 'computed'; readonly result: unknown }
	/** Answers any step that failed. The machine refuses in its own words, or just closes. */
	| { readonly kind: 'refused'; readonly refused: Refused; readonly decisionId?: string }
	/** One side has ended its stream (half-close); `error` when it broke off. */
	| { readonly kind: 'closed'; readonly side: Side; readonly error?: string }
	/** The life ended (revoked, expired, drained, policy changed): say so in the protocol's words and close. */
	| { readonly kind: 'ended'; readonly cause: Cause }
	/** The agent's identity has expired: the session ends as soon as nothing is under way, where the machine can tell. */
	| { readonly kind: 'expired' }
	/** Now and then, for the machine's own time limits; milliseconds, monotonic. */
	| { readonly kind: 'tick'; readonly now: number };

/** What a session machine wants done. Steps are carried out in order; those marked * are answered, and are the last of their list. */
export type SessionStep =
	| { readonly kind: 'toAgent'; readonly data: Buffer }
	| { readonly kind: 'toUpstream'; readonly permit: SessionPermit; readonly data: Buffer }
	/** * TLS as server (agent; `unread` is put back before the handshake) or client (upstream). */
	| { readonly kind: 'startTls'; readonly side: Side; readonly alpn?: readonly string[]; readonly unread?: Buffer }
	/** * A token shown in the protocol's own way. */
	| { readonly kind: 'authenticate'; readonly username: string; readonly password: string }
	/** * The opening of the session, in phase `connect`. */
	| {
			readonly kind: 'decide';
			readonly call: CallFacts;
			readonly sections: readonly Section[];
			/** It cannot be carried out: then that is the decision, and no policy is asked. */
			readonly refused?: Refused;
	  }
	/** * Opens the upstream's socket. */
	| { readonly kind: 'dial'; readonly permit: SessionPermit }
	/** * Work too long for the event loop (a key derivation); rejections come back as `refused`. */
	| { readonly kind: 'compute'; readonly run: () => Promise<unknown> }
	/** * Dials once more under the permit of another, live session of this door; what follows goes `toUpstream` under it. */
	| { readonly kind: 'cancel'; readonly permit: SessionPermit }
	/** The opening is over, and its time limit with it; idle and total time count from here. */
	| { readonly kind: 'opened' }
	/** Ends the stream of one side after what was sent to it (half-close). */
	| { readonly kind: 'end'; readonly side: Side }
	/** Everything is over; what was sent to the agent before is flushed. The cause is the session's outcome. */
	| { readonly kind: 'close'; readonly cause: Cause; readonly error?: string };

/** A state machine without sockets and timers. It may throw nothing: what it cannot read is `close` with `undecodable`. */
export interface SessionMachine {
	on(event: SessionEvent): readonly SessionStep[];
	/** Counts for the outcome record. */
	readonly counts?: { readonly rows?: number };
}

/** A username and password that Sallyport holds for an upstream; resolved for the identified agent. */
export interface Credential {
	readonly username: string;
	readonly password: string;
	/** Its entry in the upstream's `credentials`, as records name it. */
	readonly entry?: string;
}

/** With `mtls` the agent's side must be TLS; by `as` and `unix` the socket itself says who it is. */
export type SessionWay = 'mtls' | 'token' | 'as' | 'unix';

/** What a machine gets to know about its door. */
export interface SessionSettings {
	/** `HOST:PORT` of the door's upstream. */
	readonly address: string;
	/** How agents are identified on this door, in the order in which it is tried: `mtls` first, the others last. */
	readonly authenticate: readonly SessionWay[];
	/** Whether the upstream's side must be TLS. */
	readonly upstreamTls: boolean;
	/** First match of the upstream's `credentials`: `none` when it has no such list, `unavailable` while it has no valid value. */
	credential(identity: Identity): Credential | 'none' | 'no_match' | 'unavailable';
	/** Greatest number of bytes that a machine holds of one side. */
	readonly maxBuffered: number;
}

/** One folder under protocols/ each; `shared` is made once per door and holds what sessions of it must know of one another. */
export interface SessionProtocol<Shared = unknown> {
	readonly name: string;
	readonly defaultPort: number;
	share(): Shared;
	open(settings: SessionSettings, shared: Shared): SessionMachine;
}
