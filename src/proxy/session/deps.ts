import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Identity } from '../../model/agent.ts';
import type { CallFacts, Section } from '../../model/call.ts';
import type { Cause, Refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { SessionPermit } from '../../model/permit.ts';
import type { Decision } from '../../model/verdict.ts';
import type { Expiry } from '../listener/expiry.ts';

/** How a permitted session went, for its outcome record. */
export interface SessionOutcome {
	readonly cause: Cause;
	/** To the upstream. */
	readonly bytesSent: number;
	/** From the upstream. */
	readonly bytesReceived: number;
	readonly rows?: number;
	readonly error?: string;
}

/** What a session needs from the outside. Every `done` runs at most once, synchronously or later. */
export interface SessionDeps {
	/**
	 * TLS as server on the agent's socket; `unread` is put back first. The identity is absent where TLS did
	 * not identify and a token may. With a refusal the secured socket may be handed over too, to say the refusal on.
	 */
	startAgentTls(
		socket: Socket,
		unread: Buffer | undefined,
		alpn: readonly string[] | undefined,
		done: (
			result:
				| { readonly socket: TLSSocket; readonly identity?: Identity; readonly alpn?: string }
				| (Refused & { readonly socket?: TLSSocket }),
		) => void,
	): void;
	/** Who has this token. */
	authenticate(username: string, password: string): Identity | Refused;
	/**
	 * Applies the rules and caps of the listener to an identified agent, and begins a Conn with its life. The socket
	 * is the one that content is read from: TLS, where there is TLS.
	 */
	makeConn(identity: Identity, socket: Socket): Conn | Refused;
	/**
	 * Evaluates, admits and records; all of it has happened when `done` runs. `finish` is called exactly once when
	 * there is a permit, and never otherwise.
	 */
	decide(
		conn: Conn,
		asked: { readonly call: CallFacts; readonly sections: readonly Section[]; readonly refused?: Refused },
		done: (result: Decided) => void,
	): void;
	/** TCP to the permit's target. Returns what aborts it. */
	dial(permit: SessionPermit, done: (result: { readonly socket: Socket } | Refused) => void): () => void;
	/** The same once more, for a cancel request, which acts under the permit of the session that it cancels. */
	cancel(permit: SessionPermit, done: (result: { readonly socket: Socket } | Refused) => void): () => void;
	/** TLS as client on a dialled socket. */
	startUpstreamTls(
		permit: SessionPermit,
		socket: Socket,
		alpn: readonly string[] | undefined,
		done: (result: { readonly socket: TLSSocket } | Refused) => void,
	): void;
	/** What becomes of a session when the agent's identity expires. */
	readonly expiry: Pick<Expiry, 'of'>;
	/** A connection ended with a refusal before anything was asked to be decided. */
	refused(refusal: Refused, conn: Conn | undefined, socket: Socket): void;
	/** Every socket of a session is closed; `conn` is there if it was made. Exactly once per accepted socket. */
	over(conn: Conn | undefined): void;
}

export interface Decided {
	readonly decision: Decision;
	readonly permit?: SessionPermit;
	finish(outcome: SessionOutcome): void;
}

/** Milliseconds; 0 is none for `sessionAge` and `sessionIdle`. */
export interface SessionLimits {
	/** Until the agent has said what it wants, and again for the upstream's part of the opening, beside `dial`. */
	readonly handshake: number;
	readonly dial: number;
	readonly sessionAge: number;
	readonly sessionIdle: number;
}
