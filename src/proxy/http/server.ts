import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import { Roster } from '../../model/roster.ts';
import { httpCall } from '../../protocols/http/call.ts';
import type { Head } from '../../protocols/http/head.ts';
import { defaultPort } from '../upstream/route.ts';
import { type Caller, Callers, type CallersDeps } from './callers.ts';
import { type ConnectDeps, ConnectExchange } from './connect.ts';
import { Exchange, type Routed } from './exchange.ts';
import { refuseExchange, refuseSocket } from './refuse.ts';

export interface HttpServerDeps extends ConnectDeps, CallersDeps {
	draining(): boolean;
}

/** What is known of one agent's connection. */
interface Known extends Caller {
	/** The last answer that was begun or waits for its turn; answers go out in the order of their requests. */
	last?: ServerResponse;
	/** What the last answer belongs to, while it is under way. */
	exchange?: Exchange;
	/** What came could not be read as HTTP: nothing that follows is looked at. */
	unreadable?: boolean;
}

/** HTTP/1.1 on the sockets of one listener: reads heads, finds who calls and where to, and hands over to exchanges. */
export class HttpServer {
	readonly #deps: HttpServerDeps;
	readonly #server: Server;
	readonly #callers: Callers;
	readonly #known = new WeakMap<Duplex, Known>();
	readonly #exchanges = new Roster<Exchange>();
	/** Exchanges under way, by agent. */
	readonly #perAgent = new Map<string, number>();
	readonly #ticker: NodeJS.Timeout;
	#leaving = false;

	constructor(deps: HttpServerDeps) {
		this.#deps = deps;
		this.#callers = new Callers(deps);
		const { limits } = deps;
		this.#server = createServer({
			maxHeaderSize: limits.header_bytes,
			headersTimeout: limits.head,
			requestTimeout: 0,
			keepAliveTimeout: limits.keep_alive,
			connectionsCheckingInterval: Math.min(1000, Math.max(100, limits.head / 4)),
			insecureHTTPParser: false,
			requireHostHeader: false,
			joinDuplicateHeaders: false,
			rejectNonStandardBodyWrites: false,
		});
		// An agent that ends its side has left, as for other proxies: waiting on for it would hide its abort from the upstream.
		Object.assign(this.#server, { httpAllowHalfOpen: false, maxHeadersCount: 0 });
		// node:http watches heads and idle connections only once it listens, and this server never does by itself.
		this.#server.emit('listening');
		this.#server.on('request', (request, response) => this.#take(request, response));
		this.#server.on('checkContinue', (request, response) => this.#take(request, response));
		this.#server.on('checkExpectation', (request, response) => this.#take(request, response));
		this.#server.on('connect', (request, socket: Duplex, head: Buffer) =>
			this.#connect(request, socket as Socket, head),
		);
		this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
			this.#clientError(error, socket as Socket),
		);
		this.#ticker = setInterval(() => {
			const now = performance.now();
			for (const exchange of this.#exchanges) exchange.tick(now);
		}, 500);
		this.#ticker.unref();
	}

	/** Takes a connection whose agent is known, was refused, or will show a token. */
	enter(socket: Socket, result: Identity | Refused | undefined): void {
		const known: Known = {};
		if (result !== undefined) {
			if ('cause' in result) known.refused = result;
			else this.#callers.admit(known, result, socket);
		}
		this.#known.set(socket, known);
		this.#server.emit('connection', socket);
	}

	/** Exchanges under way. */
	get busy(): number {
		return this.#exchanges.size;
	}

	/** Lets idle connections go at once, and the others behind the answer that is under way. */
	drain(): void {
		this.#leaving = true;
		for (const exchange of this.#exchanges) exchange.closeAfter();
		this.#server.closeIdleConnections();
	}

	close(): void {
		clearInterval(this.#ticker);
		this.#server.close();
		this.#server.closeAllConnections();
	}

	#take(request: IncomingMessage, response: ServerResponse): void {
		response.sendDate = false;
		const known = this.#known.get(request.socket);
		if (known !== undefined) {
			// The answer before this one ends the connection (RFC 9112 §9.6): whatever follows was not asked.
			if (known.last?.shouldKeepAlive === false) return;
			known.last = response;
		}
		if (this.#leaving) response.shouldKeepAlive = false;
		const opened = this.#callers.open(this.#known.get(request.socket), request, (refusal, challenge) =>
			refuseExchange(request, response, {
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
		const { limits, door } = this.#deps;
		let refusal: Refused | undefined;
		if ('cause' in head) refusal = head;
		else if (this.#leaving || this.#deps.draining()) refusal = refused('draining');
		else if (this.#exchanges.size >= limits.requests_in_flight)
			refusal = refused('limit_exceeded', 'limits.requests_in_flight');
		else if ((this.#perAgent.get(conn.identity.agent.id) ?? 0) >= limits.requests_in_flight_per_agent)
			refusal = refused('limit_exceeded', 'limits.requests_in_flight_per_agent');
		const routed = refusal === undefined && !('cause' in head) ? this.#route(head) : undefined;
		if (routed === undefined || 'cause' in routed || 'cause' in head) {
			const why = refusal ?? (routed !== undefined && 'cause' in routed ? routed : refused('undecodable'));
			this.#refuseUnrouted(conn, request, response, why, door);
			return;
		}
		const exchange = new Exchange(this.#deps, conn, request, response, head, routed, strip, () => {
			this.#exchanges.delete(exchange);
			this.#count(conn, -1);
			if (known?.exchange === exchange) delete known.exchange;
		});
		this.#exchanges.add(exchange);
		this.#count(conn, 1);
		if (known !== undefined) known.exchange = exchange;
		exchange.start();
	}

	#count({ identity }: Conn, by: 1 | -1): void {
		const { id } = identity.agent;
		const now = (this.#perAgent.get(id) ?? 0) + by;
		if (now > 0) this.#perAgent.set(id, now);
		else this.#perAgent.delete(id);
	}

	/** A call that cannot be aimed is recorded too, with as much as could be read of it. */
	#refuseUnrouted(
		conn: Conn,
		request: IncomingMessage,
		response: ServerResponse,
		refusal: Refused,
		door: string | undefined,
	): void {
		const { router, calls } = this.#deps;
		// Userinfo is a credential of the agent's: the record does without it.
		const path =
			(request.url ?? '')
				.split('?', 1)[0]
				?.replace(/\/\/[^/]*@/, '//')
				.slice(0, 1024) ?? '';
		const close = refusal.cause === 'draining' || refusal.cause === 'undecodable';
		if (close) response.shouldKeepAlive = false;
		const target = (door === undefined ? undefined : router.upstream(door)?.target) ?? router.nowhere;
		const call = httpCall(request.method ?? '', target.host, path, undefined, 'unknown', undefined);
		calls.decide(
			{ conn, target, phase: 'request', call, sections: [], permit: 'call', observe: false, refused: refusal },
			decided =>
				refuseExchange(request, response, {
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
		const { router, door } = this.#deps;
		const { target } = head;
		if (door !== undefined) {
			const upstream = router.upstream(door);
			if (upstream === undefined) return refused('target_mismatch', 'the upstream of this door is gone');
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

	#connect(request: IncomingMessage, socket: Socket, head: Buffer): void {
		socket.on('error', () => {});
		if (answering(this.#known.get(socket))) {
			// The tunnel would begin within the answer that is under way.
			this.#unread(socket, refused('undecodable', 'CONNECT behind a request without an answer'));
			socket.destroy();
			return;
		}
		const exchange = new ConnectExchange(this.#deps, socket, head);
		const opened = this.#callers.open(this.#known.get(request.socket), request, (refusal, challenge) =>
			exchange.refuse(refusal, challenge),
		);
		if (opened === undefined) return;
		const read = opened.head;
		if (this.#deps.door !== undefined)
			exchange.start(opened.conn, 'cause' in read ? read : refused('target_mismatch', 'a door opens no tunnels'));
		else if (this.#leaving || this.#deps.draining()) exchange.start(opened.conn, refused('draining'));
		else exchange.start(opened.conn, read);
	}

	/** What node:http could not read: answered as well as may be, and recorded. */
	#clientError(error: NodeJS.ErrnoException, socket: Socket): void {
		const known = this.#known.get(socket);
		if (known?.unreadable) return;
		// The agent left in the middle of a body.
		const left = error.code === 'HPE_INVALID_EOF_STATE' && answering(known);
		if (left || error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
			socket.destroy();
			return;
		}
		// It asked for the end of the connection and sends on: nobody listens (RFC 9112 §9.6).
		if (error.code === 'HPE_CLOSED_CONNECTION' && known !== undefined) {
			known.unreadable = true;
			return;
		}
		const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
		const long = error.code === 'HPE_HEADER_OVERFLOW';
		// A connection that sent nothing at all is just idle.
		if (late && socket.bytesRead === 0) {
			socket.destroy();
			return;
		}
		if (known !== undefined) known.unreadable = true;
		const refusal = late
			? refused('limit_exceeded', 'limits.head')
			: long
				? refused('limit_exceeded', 'limits.header_bytes')
				: refused(
						'undecodable',
						`not HTTP/1.1 (${/^HPE_[A-Z_]{1,40}$/.test(error.code ?? '') ? error.code : 'unreadable'})`,
					);
		if (answering(known)) {
			// Within the body of a request that is under way: that call ends, or was refused already. Behind it: the connection ends.
			if (known?.last?.req.complete === false) known.exchange?.abort(refusal.cause, refusal.detail);
			else {
				this.#unread(socket, refusal);
				socket.destroy();
			}
			return;
		}
		this.#unread(socket, refusal);
		refuseSocket(socket, { ...refusal, reasons: [], detail: refusal.detail, decisionId: undefined, challenge: false });
	}

	/** Records what came and could not be read as a call. */
	#unread(socket: Socket, { cause, detail }: Refused): void {
		const conn = this.#known.get(socket)?.conn;
		this.#deps.refusedConnection({
			listener: this.#deps.listener,
			cause,
			detail: detail ?? '',
			remote: socket.remoteAddress ?? '',
			...(conn === undefined ? {} : { claimed: conn.identity.agent.id }),
		});
	}
}

/** Whether an answer on this connection is not over. */
const answering = (known: Known | undefined): boolean =>
	known?.last !== undefined && !known.last.writableFinished && !known.last.destroyed;
