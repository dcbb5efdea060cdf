import type { Socket } from 'node:net';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { RefusedConnection } from '../../model/record.ts';
import { parseCredentials } from '../../protocols/http/credentials.ts';
import type { Head } from '../../protocols/http/head.ts';
import type { Challenge } from '../../protocols/http/refusal.ts';
import type { Connections } from '../listener/connection.ts';
import type { Expiry } from '../listener/expiry.ts';
import { refusedConnection } from '../listener/refusal.ts';
import type { AgentRequest } from './request.ts';

export interface CallersDeps {
	readonly listener: string;
	readonly connections: Connections;
	/** The upstream behind a door; undefined on a proxy. */
	readonly door: string | undefined;
	/** Identifies by a token that came with a request; undefined where another way is used. */
	readonly token: ((username: string, password: string) => Identity | Refused) | undefined;
	/** Whether the listener's rules let this agent in. */
	mayUse(identity: Identity): Refused | undefined;
	refusedConnection(record: RefusedConnection): void;
	readonly expiry: Expiry;
	/** Milliseconds since the epoch. */
	now(): number;
}

/** Who is at the other end of a connection, as far as is known. */
export interface Caller {
	conn?: Conn;
	/** From when on answers say that the connection closes, milliseconds since the epoch. */
	notice?: number;
	/** The connection was refused; its first request is told so. */
	refused?: Refused;
}

/** A request whose agent is known. */
export interface Opened {
	readonly conn: Conn;
	readonly head: Head | Refused;
	/** Name of the field that held the token, when the upstream must not see it. */
	readonly strip: string | undefined;
}

/** Tells an agent that it was not let in. */
type Refuse = (refusal: Refused, challenge: Challenge) => void;

/** Finds who calls: by what the connection showed, or by the token of the request. Every refusal is recorded. */
export class Callers {
	readonly #deps: CallersDeps;

	constructor(deps: CallersDeps) {
		this.#deps = deps;
	}

	/** Makes the Conn of an agent that the connection itself, or its first token, made known. */
	admit(caller: Caller, identity: Identity, socket: Socket): void {
		const { connections } = this.#deps;
		const conn = this.#deps.mayUse(identity) ?? connections.identified(identity);
		if ('cause' in conn) {
			caller.refused = conn;
			this.#record(conn, socket, identity);
			return;
		}
		caller.conn = conn;
		caller.notice = this.#deps.expiry.noticeOf(conn);
		connections.known(socket);
		socket.once('close', () => connections.gone(conn));
		// What is in flight is told first; idle connections just end.
		conn.life.onEnd(() => setImmediate(() => socket.destroy()));
	}

	/** Finds the agent of a request; undefined when it was refused. */
	open(caller: Caller, request: AgentRequest, refuse: Refuse): Opened | undefined {
		const { socket, head } = request;
		if (caller.refused !== undefined) {
			refuse(caller.refused, false);
			return undefined;
		}
		if (this.#deps.token !== undefined) return this.#openByToken(caller, request, head, refuse);
		const { conn } = caller;
		if (conn === undefined) {
			refuse(refused('identity_missing'), false);
			return undefined;
		}
		// A connection may outlive the certificate that it was opened with.
		if (this.#deps.expiry.of(conn) !== undefined) {
			const refusal = refused('identity_expired', 'the SVID of this connection has expired');
			this.#record(refusal, socket, conn.identity);
			refuse(refusal, false);
			return undefined;
		}
		return { conn, head, strip: undefined };
	}

	#openByToken(caller: Caller, request: AgentRequest, head: Head | Refused, refuse: Refuse): Opened | undefined {
		const { socket } = request;
		const shown = 'cause' in head ? this.#shownInVain(request, head) : this.#shownToken(request, head);
		// What cannot be read came on a connection that one agent uses: it is that one's.
		const known = shown === head ? caller.conn : undefined;
		const conn = known ?? ('cause' in shown ? shown : this.#byToken(caller, shown.text, socket));
		if ('cause' in conn) {
			this.#record(conn, socket);
			refuse(conn, this.#deps.door === undefined ? 'proxy' : 'origin');
			return undefined;
		}
		return { conn, head, strip: 'cause' in shown ? undefined : shown.strip };
	}

	/** A proxy is shown the token in Proxy-Authorization; at a door clients know only Authorization, which then goes no further. */
	#shownToken(
		request: AgentRequest,
		head: Head,
	): { readonly text: string; readonly strip: string | undefined } | Refused {
		if (head.proxyAuthorization !== undefined) return { text: head.proxyAuthorization, strip: undefined };
		const authorization = request.field('authorization');
		return this.#deps.door === undefined || authorization === undefined
			? refused('identity_missing', 'no token was shown')
			: { text: authorization, strip: 'authorization' };
	}

	/** The token of a request that cannot be taken, so that its record says whose it was; why it cannot be taken where there is no one token. */
	#shownInVain(request: AgentRequest, head: Refused): { readonly text: string; readonly strip: undefined } | Refused {
		const name = this.#deps.door === undefined ? 'proxy-authorization' : 'authorization';
		const values = request.fields.filter(
			(_, index, fields) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === name,
		);
		return values.length === 1 ? { text: values[0] ?? '', strip: undefined } : head;
	}

	#byToken(caller: Caller, text: string, socket: Socket): Conn | Refused {
		const { token } = this.#deps;
		const parsed = parseCredentials(text);
		if (token === undefined || parsed === undefined)
			return refused('identity_invalid', 'the credentials are not Basic or Bearer');
		const identity = token(parsed.username, parsed.password);
		if ('cause' in identity) return identity;
		if (caller.conn === undefined) this.admit(caller, identity, socket);
		if (caller.conn === undefined) return caller.refused ?? refused('identity_invalid');
		if (caller.conn.identity.agent.id !== identity.agent.id)
			return refused('identity_invalid', 'another agent uses this connection');
		return caller.conn;
	}

	#record(refusal: Refused, socket: Socket, claimed?: Identity): void {
		this.#deps.refusedConnection(refusedConnection(this.#deps.listener, refusal, socket.remoteAddress, claimed));
	}
}
