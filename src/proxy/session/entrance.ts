import type { Socket } from 'node:net';
import type { Limits, ListenerConfig } from '../../config/schema.ts';
import { hostPortText } from '../../formats/host-port.ts';
import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { SessionPermit } from '../../model/permit.ts';
import type { RefusedConnection } from '../../model/record.ts';
import type { SessionProtocol } from '../../protocols/contract.ts';
import type { Calls } from '../call.ts';
import type { Connections } from '../listener/connection.ts';
import type { Expiry } from '../listener/expiry.ts';
import { AgentHandshakes } from '../listener/handshake.ts';
import type { Entrance } from '../listener/listener.ts';
import type { Recognition } from '../listener/recognition.ts';
import { refusedConnection } from '../listener/refusal.ts';
import { Retirement } from '../listener/retirement.ts';
import type { SignIn } from '../upstream/credentials.ts';
import type { Dialler } from '../upstream/dial.ts';
import type { Upstream } from '../upstream/route.ts';
import { SessionDoor } from './door.ts';

export interface SessionEntranceDeps {
	readonly connections: Connections;
	readonly calls: Calls;
	readonly dialler: Dialler;
	readonly limits: Limits;
	readonly expiry: Expiry;
	readonly upstream: Upstream;
	/** The mode of the upstream by the configuration in force. */
	observes(): boolean;
	readonly maxBuffered: number;
	credential(identity: Identity): SignIn;
	mayUse(identity: Identity): Refused | undefined;
	refusedConnection(record: RefusedConnection): void;
	draining(): boolean;
	/** Why a session that is about to be decided is not opened any more: a reload overtook it. */
	overtaken(conn: Conn): Refused | undefined;
	/** Records that a session is cancelled; `written` runs once, later, before anything is dialled for it. */
	cancelled(permit: SessionPermit, written: (refusal?: Refused) => void): void;
	/** What sessions of this door know of one another. */
	readonly shared: unknown;
}

/** A door for a session protocol. */
export class SessionEntrance implements Entrance {
	readonly #door: SessionDoor;
	/** By the protocols that ALPN offers. */
	readonly #handshakes = new Map<string, AgentHandshakes>();
	/** What the socket itself says of who connects; undefined where a certificate comes first. */
	readonly #bySocket: Recognition['socket'];
	readonly #retirement = new Retirement(() => this.#door.size);

	constructor(config: ListenerConfig, recognition: Recognition, protocol: SessionProtocol, deps: SessionEntranceDeps) {
		const { limits, upstream, connections } = deps;
		const ways = recognition.ways.filter(way => way !== 'jwt_svid');
		const mtls = ways.includes('mtls');
		this.#bySocket = mtls ? undefined : recognition.socket;
		/** The accepted socket below each TLS socket. */
		const below = new WeakMap<Socket, Socket>();
		const handshakes = (alpn: readonly string[] | undefined): AgentHandshakes => {
			const key = alpn?.join(' ') ?? '';
			const made =
				this.#handshakes.get(key) ?? new AgentHandshakes(recognition.tls, config.name, limits.handshake, alpn);
			this.#handshakes.set(key, made);
			return made;
		};
		this.#door = new SessionDoor(
			protocol,
			{
				address: hostPortText(upstream.target.host, upstream.target.port),
				authenticate: ways,
				upstreamTls: upstream.config.tls !== undefined,
				credential: identity => deps.credential(identity),
				maxBuffered: deps.maxBuffered,
			},
			{
				startAgentTls: (socket, unread, alpn, done) =>
					handshakes(alpn).accept(socket, unread, result => {
						if ('cause' in result) {
							done(result);
							return;
						}
						below.set(result.socket, socket);
						const agreed = result.alpn === undefined ? {} : { alpn: result.alpn };
						const absent = !mtls || (result.bare && ways.length > 1);
						const who = absent ? recognition.socket?.(socket) : result.identity;
						if (who === undefined) done({ socket: result.socket, ...agreed });
						else if ('cause' in who) done({ ...who, socket: result.socket });
						else done({ socket: result.socket, identity: who, ...agreed });
					}),
				authenticate: (username, password) =>
					recognition.token?.(username, password) ?? { cause: 'identity_invalid', detail: 'no token is taken here' },
				makeConn: (identity, socket) => {
					const conn =
						deps.mayUse(identity) ?? (deps.draining() ? refused('draining') : connections.identified(identity));
					if (!('cause' in conn)) connections.known(below.get(socket) ?? socket);
					return conn;
				},
				decide: (conn, { call, sections, refused: missing }, done) => {
					const refusal = deps.overtaken(conn) ?? missing;
					deps.calls.decide(
						{
							conn,
							target: upstream.target,
							phase: 'connect',
							call,
							sections,
							permit: 'session',
							observe: deps.observes(),
							...(refusal === undefined ? {} : { refused: refusal }),
						},
						decided => {
							const { decision, permit } = decided;
							if (decision === undefined) return;
							done({
								decision,
								...(permit?.kind === 'session' ? { permit } : {}),
								finish: ({ cause, bytesSent, bytesReceived, rows, error }) =>
									decided.end({
										cause,
										sent: bytesSent,
										received: bytesReceived,
										...(rows === undefined ? {} : { rows }),
										...(error === undefined ? {} : { error }),
									}),
							});
						},
					);
				},
				dial: (permit, done) => deps.dialler.dial(permit, done),
				cancel: (permit, done) => {
					let abandoned = false;
					let abort = (): void => {
						abandoned = true;
					};
					deps.cancelled(permit, refusal => {
						if (abandoned) return;
						if (refusal !== undefined) done(refusal);
						else abort = deps.dialler.dial(permit, done);
					});
					return () => abort();
				},
				expiry: deps.expiry,
				startUpstreamTls: (permit, socket, alpn, done) => deps.dialler.secure(permit, socket, alpn, done),
				refused: (refusal, conn, socket) =>
					deps.refusedConnection(refusedConnection(config.name, refusal, socket.remoteAddress, conn?.identity)),
				over: conn => {
					if (conn !== undefined) connections.gone(conn);
					this.#retirement.look();
				},
			},
			{
				handshake: limits.handshake,
				dial: limits.dial,
				sessionAge: limits.max_session_age,
				sessionIdle: limits.session_idle,
			},
			deps.shared,
		);
	}

	accept(socket: Socket): void {
		this.#door.accept(socket, this.#bySocket?.(socket));
	}

	renew(): void {
		for (const handshakes of this.#handshakes.values()) handshakes.renew();
	}

	get busy(): number {
		return this.#door.busy;
	}

	/** Sessions that are open go on until the drain is over. */
	drain(): void {
		this.#door.drain();
	}

	/** Those that have not asked for anything yet go on too: what they ask for is held against the configuration in force. */
	retire(_next: Entrance | undefined, empty: () => void): void {
		this.#retirement.begin(empty);
	}

	close(): void {
		this.#door.end('draining');
	}
}
