import type { Socket } from 'node:net';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import { httpCall } from '../../protocols/http/call.ts';
import type { Head } from '../../protocols/http/head.ts';
import { aimRequest, unaimed } from '../capture/aim.ts';
import { refusedConnection } from '../listener/refusal.ts';
import { defaultPort, type Upstream } from '../upstream/route.ts';
import type { Answer } from './answer.ts';
import type { Caller, Callers, CallersDeps, Evidence } from './callers.ts';
import { type ConnectDeps, ConnectExchange } from './connect.ts';
import { AgentConnection, type ConnectionHandler } from './connection.ts';
import { Exchange, type Routed } from './exchange.ts';
import { refuseExchange, refuseSocket } from './refuse.ts';
import type { AgentRequest } from './request.ts';

export interface VisitDeps extends ConnectDeps, CallersDeps {
	/** Behind a door; undefined on a proxy. */
	readonly upstream: Upstream | undefined;
	draining(): boolean;
}

/** What a visit needs to know of all others. */
interface House {
	readonly leaving: boolean;
	full(conn: Conn): Refused | undefined;
	begun(exchange: Exchange, conn: Conn): void;
	over(exchange: Exchange, conn: Conn): void;
}

/** One agent's connection: finds who calls and where to, request by request, and hands over to exchanges. */
export class Visit implements ConnectionHandler {
	/** Its place among those that are open. */
	place = -1;
	readonly caller: Caller;
	readonly #deps: VisitDeps;
	readonly #callers: Callers;
	readonly #house: House;
	readonly #connection: AgentConnection;
	#exchange: Exchange | undefined;
	/** The socket is a tunnel's or the refusal's now. */
	#left = false;

	constructor(socket: Socket, evidence: Evidence, deps: VisitDeps, callers: Callers, house: House) {
		this.caller = { evidence };
		this.#deps = deps;
		this.#callers = callers;
		this.#house = house;
		this.#connection = new AgentConnection(socket, deps.limits, this);
	}

	/** Whether nothing is under way on it. */
	get idle(): boolean {
		return !this.#left && this.#connection.idle;
	}

	/** `now`: milliseconds, monotonic. */
	tick(now: number): void {
		this.#connection.tick(now);
		const { conn } = this.caller;
		if (conn === undefined) return;
		// An answer that has not begun says so; behind one that has, the connection just ends.
		if (this.#noticed) this.#exchange?.closeAfter();
		// Where each request proves who calls, by the last one's proof: that of the call under way, if there is one.
		const expiry = this.#deps.expiry.of(conn.identity);
		if (expiry === 'close') conn.life.end('session_expired');
		else if (expiry === 'close_idle' && this.idle) this.#connection.end(true);
	}

	/** The agent's identity expires in a moment, or has. */
	get #noticed(): boolean {
		return (this.caller.notice ?? Number.POSITIVE_INFINITY) <= this.#deps.now();
	}

	destroy(): void {
		if (!this.#left) this.#connection.socket.destroy();
	}

	request(request: AgentRequest, answer: Answer): void {
		if (this.#house.leaving || request.last || this.#noticed) answer.keepAlive = false;
		const opened = this.#callers.open(this.caller, request, (refusal, challenge) =>
			refuseExchange(request, answer, {
				cause: refusal.cause,
				reasons: [],
				detail: refusal.detail,
				decisionId: undefined,
				challenge,
				close: !challenge,
			}),
		);
		if (opened === undefined) return;
		const { conn, head, strip } = opened;
		if ('cause' in head) {
			this.#refuseUnrouted(conn, request, answer, head);
			return;
		}
		const routed = this.#house.leaving ? refused('draining') : (this.#house.full(conn) ?? this.#route(head));
		if ('cause' in routed) {
			this.#refuseUnrouted(conn, request, answer, routed);
			return;
		}
		const exchange = new Exchange(this.#deps, conn, request, answer, head, routed, strip, () => {
			this.#house.over(exchange, conn);
			if (this.#exchange === exchange) this.#exchange = undefined;
		});
		this.#exchange = exchange;
		this.#house.begun(exchange, conn);
		exchange.start();
	}

	/** A call that cannot be aimed is recorded too, with as much as could be read of it. */
	#refuseUnrouted(conn: Conn, request: AgentRequest, answer: Answer, refusal: Refused): void {
		const { router, calls, upstream } = this.#deps;
		// Userinfo is a credential of the agent's: the record does without it.
		const path =
			request.url
				.split('?', 1)[0]
				?.replace(/\/\/[^/]*@/, '//')
				.slice(0, 1024) ?? '';
		const close = refusal.cause === 'draining' || refusal.cause === 'undecodable';
		const { original } = this.caller.evidence;
		const target = upstream?.target ?? (original === undefined ? router.nowhere : unaimed(original));
		const call = httpCall(request.method, target.host, path, undefined, 'unknown', undefined);
		calls.decide(
			{ conn, target, phase: 'request', call, sections: [], permit: 'call', observe: false, refused: refusal },
			decided =>
				refuseExchange(request, answer, {
					cause: decided.decision?.cause ?? refusal.cause,
					reasons: [],
					detail: decided.detail,
					decisionId: decided.decision?.id,
					challenge: false,
					close,
				}),
		);
	}

	#route(head: Head): Routed | Refused {
		const { router, upstream } = this.#deps;
		const { target } = head;
		const { original } = this.caller.evidence;
		if (original !== undefined) return aimRequest(head, original, router);
		if (upstream !== undefined) {
			if (target.form === 'asterisk') return refused('undecodable', 'the asterisk form is not taken');
			if (target.form !== 'origin') return refused('target_mismatch', 'a door takes requests in origin form only');
			return {
				route: { target: upstream.target, upstream },
				scheme: upstream.config.tls === undefined ? 'http' : 'https',
			};
		}
		if (target.form !== 'absolute') return refused('undecodable', 'a proxy takes requests in absolute form only');
		const found = router.forRequest(
			target.scheme,
			target.authority.host,
			target.authority.port ?? defaultPort(target.scheme),
		);
		return 'mismatch' in found
			? refused('target_mismatch', found.mismatch)
			: {
					route: found,
					scheme:
						found.upstream === undefined ? target.scheme : found.upstream.config.tls === undefined ? 'http' : 'https',
				};
	}

	connect(request: AgentRequest, early: Buffer): void {
		this.#left = true;
		const exchange = new ConnectExchange(this.#deps, request, early);
		const opened = this.#callers.open(this.caller, request, (refusal, challenge) =>
			exchange.refuse(refusal, challenge),
		);
		if (opened === undefined) return;
		const { conn, head } = opened;
		const { upstream } = this.#deps;
		const { original } = this.caller.evidence;
		if (original !== undefined)
			exchange.start(
				conn,
				'cause' in head ? head : refused('target_mismatch', 'a captured connection leads to one place only'),
				unaimed(original),
			);
		else if (upstream !== undefined)
			exchange.start(
				conn,
				'cause' in head ? head : refused('target_mismatch', 'a door opens no tunnels'),
				upstream.target,
			);
		else exchange.start(conn, this.#house.leaving ? refused('draining') : head);
	}

	unreadable(refusal: Refused): void {
		this.#left = true;
		const { socket } = this.#connection;
		this.#deps.refusedConnection(
			refusedConnection(this.#deps.listener, refusal, socket.remoteAddress, this.caller.conn?.identity),
		);
		refuseSocket(socket, {
			...refusal,
			reasons: [],
			detail: refusal.detail,
			decisionId: undefined,
			challenge: false,
		});
	}

	broken({ cause, detail }: Refused): void {
		// One that was refused already is answered; nothing behind it is looked at.
		if (this.#exchange === undefined) this.#connection.end();
		else this.#exchange.abort(cause, detail);
	}
}
