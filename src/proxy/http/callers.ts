import type { Socket } from 'node:net';
import type { Authentication, Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { RefusedConnection } from '../../model/record.ts';
import type { Head } from '../../protocols/http/head.ts';
import type { Challenge } from '../../protocols/http/refusal.ts';
import type { Connections } from '../listener/connection.ts';
import type { Expiry } from '../listener/expiry.ts';
import type { Recognition } from '../listener/recognition.ts';
import { refusedConnection } from '../listener/refusal.ts';
import type { AgentRequest } from './request.ts';
import { byJwtSvid, byToken, byTokenInVain, holdsToken, type Shown } from './shown.ts';

export interface CallersDeps {
	readonly listener: string;
	readonly connections: Connections;
	/** The upstream behind a door; undefined on a proxy. */
	readonly door: string | undefined;
	readonly recognition: Recognition;
	/** Whether the listener's rules let this agent in. */
	mayUse(identity: Identity): Refused | undefined;
	refusedConnection(record: RefusedConnection): void;
	readonly expiry: Expiry;
	/** Milliseconds since the epoch. */
	now(): number;
}

/** The address and port of a server. */
export interface Original {
	readonly address: string;
	readonly port: number;
}

/** What a connection showed before its first request. */
export interface Evidence {
	/** The accepted socket, below TLS where there is TLS. */
	readonly accepted: Socket;
	/** Where it was going, if it was captured. */
	readonly original?: Original;
	/** What the rules say of its certificate; `bare` when it showed none. */
	readonly certificate?: { readonly who: Identity | Refused; readonly bare: boolean };
}

/** Who is at the other end of a connection, as far as is known. */
export interface Caller {
	readonly evidence: Evidence;
	/** With the proof that was shown last. */
	conn?: Conn;
	/** From when on answers say that the connection closes, milliseconds since the epoch. */
	notice?: number;
	/** The connection was refused; its first request is told so. */
	refused?: Refused;
	/** What the connection itself showed comes first, so that nothing in a request is looked for. */
	settled?: true;
	/** What the socket itself says, once it was asked. */
	bySocket?: Identity | Refused;
}

/** A request whose agent is known. */
export interface Opened {
	readonly conn: Conn;
	readonly head: Head | Refused;
	/** Names of fields that held a credential for Sallyport, which the upstream must not see. */
	readonly strip: readonly string[];
}

/** Tells an agent that it was not let in. */
type Refuse = (refusal: Refused, challenge: Challenge) => void;

const NOTHING: readonly string[] = [];

/**
 * Finds who calls, in the ways of the listener and in their order: the first whose evidence is there decides, whether it
 * is good or bad. Every refusal is recorded.
 */
export class Callers {
	readonly #deps: CallersDeps;
	/** How whoever showed nothing is asked for a token. */
	readonly #challenge: Challenge;
	/** Whether requests may hold what is not for the upstream although it was not what made the agent known. */
	readonly #holdsMore: boolean;

	constructor(deps: CallersDeps) {
		this.#deps = deps;
		const { token, jwtSvid } = deps.recognition;
		this.#challenge = token === undefined ? false : deps.door === undefined ? 'proxy' : 'origin';
		this.#holdsMore = jwtSvid !== undefined || (token !== undefined && deps.door !== undefined);
	}

	/** Takes a connection, and settles who it is if what it showed by itself comes before all that a request can show. */
	enter(caller: Caller, socket: Socket): void {
		for (const way of this.#deps.recognition.ways) {
			if (way === 'token' || way === 'jwt_svid') return;
			const who = this.#byConnection(caller, way);
			if (who === undefined) continue;
			caller.settled = true;
			if ('cause' in who) {
				caller.refused = who;
				this.#record(who, socket);
			} else this.#admit(caller, who, socket);
			return;
		}
	}

	/** Finds the agent of a request; undefined when it was refused. */
	open(caller: Caller, request: AgentRequest, refuse: Refuse): Opened | undefined {
		const { socket, head } = request;
		if (caller.refused !== undefined) {
			refuse(caller.refused, false);
			return undefined;
		}
		if (caller.settled === undefined) return this.#openByRequest(caller, request, head, refuse);
		const { conn } = caller;
		if (conn === undefined) {
			refuse(refused('identity_missing'), false);
			return undefined;
		}
		const expired = this.#expired(conn.identity);
		if (expired !== undefined) {
			this.#record(expired, socket, conn.identity);
			refuse(expired, false);
			return undefined;
		}
		return { conn, head, strip: this.#holdsMore ? this.#toStrip(request) : NOTHING };
	}

	#openByRequest(caller: Caller, request: AgentRequest, head: Head | Refused, refuse: Refuse): Opened | undefined {
		const { socket } = request;
		const shown = 'cause' in head ? this.#shownInVain(caller, request, head) : this.#shown(caller, request, head);
		const { who } = shown;
		if ('cause' in who) {
			this.#record(who, socket);
			// A signature costs far more to check than a token: who shows bad ones needs a connection for each.
			const dear = this.#deps.recognition.jwtSvid !== undefined && who.cause !== 'identity_missing';
			refuse(who, dear ? false : this.#challenge);
			return undefined;
		}
		if (caller.conn === undefined) this.#admit(caller, who, socket);
		let { conn } = caller;
		if (conn === undefined) {
			refuse(caller.refused ?? refused('identity_invalid'), this.#challenge);
			return undefined;
		}
		const mixed = mixes(conn.identity, who);
		if (mixed !== undefined) {
			this.#record(mixed, socket, who);
			refuse(mixed, this.#challenge);
			return undefined;
		}
		if (conn.identity !== who) {
			// Another proof of the agent's, which may have been revoked while the one before was not.
			const forbidden = this.#deps.mayUse(who);
			if (forbidden !== undefined) {
				this.#record(forbidden, socket, who);
				refuse(forbidden, this.#challenge);
				return undefined;
			}
			conn = this.#deps.connections.shows(conn, who);
			caller.conn = conn;
		}
		const strip = this.#holdsMore ? this.#toStrip(request, shown.field) : NOTHING;
		return { conn, head, strip: shown.field === undefined ? strip : [...strip, shown.field] };
	}

	/** What the first way says whose evidence is there. */
	#shown(caller: Caller, request: AgentRequest, head: Head): Shown {
		const { ways, token, jwtSvid } = this.#deps.recognition;
		for (const way of ways) {
			let shown: Shown | undefined;
			if (way === 'token') shown = token && byToken(request, head, this.#deps.door !== undefined, token);
			else if (way === 'jwt_svid') shown = jwtSvid && byJwtSvid(request, jwtSvid.header, jwtSvid.identify);
			else {
				const who = this.#byConnection(caller, way);
				// A connection may outlive the certificate that it was opened with.
				if (who !== undefined) shown = { who: 'cause' in who ? who : (this.#expired(who) ?? who) };
			}
			if (shown !== undefined) return shown;
		}
		const what = ways.at(-1) === 'jwt_svid' ? 'no JWT-SVID was shown' : 'no token was shown';
		return { who: refused('identity_missing', what) };
	}

	/**
	 * Whose a request is that cannot be taken, so that its record says so: of the agent that the connection is known for, or
	 * of the one token that it shows. Else it is nobody's, and why it cannot be taken is all there is to say.
	 */
	#shownInVain({ conn }: Caller, request: AgentRequest, head: Refused): Shown {
		if (conn !== undefined) return { who: conn.identity };
		const { token } = this.#deps.recognition;
		return (token && byTokenInVain(request, this.#deps.door !== undefined, token)) ?? { who: head };
	}

	/** What the connection itself shows in this way; undefined when it shows nothing and another way is left. */
	#byConnection(caller: Caller, way: Authentication): Identity | Refused | undefined {
		const { ways, socket } = this.#deps.recognition;
		const { accepted, certificate } = caller.evidence;
		if (way === 'mtls') {
			if (certificate === undefined) return refused('identity_missing', 'there is no TLS');
			return certificate.bare && ways.at(-1) !== 'mtls' ? undefined : certificate.who;
		}
		caller.bySocket ??= socket?.(accepted) ?? refused('identity_missing', 'the socket says nothing of who connects');
		return caller.bySocket;
	}

	#expired(identity: Identity): Refused | undefined {
		if (this.#deps.expiry.of(identity) === undefined) return undefined;
		const { authentication } = identity;
		return refused(
			'identity_expired',
			`the ${authentication === 'mtls' ? 'SVID' : 'proof'} of this connection has expired`,
		);
	}

	/** Makes the Conn of an agent that the connection itself, or its first request, made known. */
	#admit(caller: Caller, identity: Identity, socket: Socket): void {
		const { connections } = this.#deps;
		const conn = this.#deps.mayUse(identity) ?? connections.identified(identity);
		if ('cause' in conn) {
			caller.refused = conn;
			this.#record(conn, socket, identity);
			return;
		}
		caller.conn = conn;
		// Where each request shows who it is, the connection does not end with the first one's proof.
		if (caller.settled) caller.notice = this.#deps.expiry.noticeOf(identity);
		connections.bind(conn, socket, caller.evidence.accepted);
	}

	/** A JWT-SVID is for nobody behind Sallyport, and neither is one of its tokens, whichever way the agent is known by. */
	#toStrip(request: AgentRequest, shown?: string): readonly string[] {
		const { jwtSvid, token } = this.#deps.recognition;
		const strip = jwtSvid === undefined ? [] : [jwtSvid.header];
		// What made the agent known goes anyway.
		const other = this.#deps.door !== undefined && shown !== 'authorization';
		if (token !== undefined && other && holdsToken(request, token)) strip.push('authorization');
		return strip;
	}

	#record(refusal: Refused, socket: Socket, claimed?: Identity): void {
		this.#deps.refusedConnection(refusedConnection(this.#deps.listener, refusal, socket.remoteAddress, claimed));
	}
}

/** A connection is one agent's, known in one way: nothing that it established may be used by another. */
function mixes(established: Identity, shown: Identity): Refused | undefined {
	if (established.agent.id !== shown.agent.id) return refused('identity_invalid', 'another agent uses this connection');
	return established.authentication === shown.authentication
		? undefined
		: refused('identity_invalid', 'this connection is known in another way');
}
