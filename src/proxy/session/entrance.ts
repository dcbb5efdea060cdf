import type { Socket } from 'node:net';
import type { Limits, ListenerConfig } from '../../config/schema.ts';
import type { Identity } from '../../model/agent.ts';
import type { Refused } from '../../model/cause.ts';
import type { SessionPermit } from '../../model/permit.ts';
import type { RefusedConnection } from '../../model/record.ts';
import type { Credential, SessionProtocol } from '../../protocols/contract.ts';
import type { Calls } from '../call.ts';
import type { Connections } from '../listener/connection.ts';
import { AgentHandshakes } from '../listener/handshake.ts';
import type { Entrance } from '../listener/listener.ts';
import { type Recognition, wayOf } from '../listener/recognition.ts';
import type { Dialler } from '../upstream/dial.ts';
import { authorityText, type Upstream } from '../upstream/route.ts';
import { SessionDoor } from './door.ts';

export interface SessionEntranceDeps {
	readonly connections: Connections;
	readonly calls: Calls;
	readonly dialler: Dialler;
	readonly limits: Limits;
	readonly upstream: Upstream;
	readonly observe: boolean;
	readonly maxBuffered: number;
	credential(identity: Identity): Credential | 'none' | 'no_match';
	mayUse(identity: Identity): Refused | undefined;
	refusedConnection(record: RefusedConnection): void;
	draining(): boolean;
	/** A session is cancelled: called before anything is dialled for it. */
	cancelled(permit: SessionPermit): void;
}

/** A door for a session protocol. */
export class SessionEntrance implements Entrance {
	readonly #door: SessionDoor;
	/** By the protocols that ALPN offers. */
	readonly #handshakes = new Map<string, AgentHandshakes>();
	readonly #as: Identity | undefined;

	constructor(config: ListenerConfig, recognition: Recognition, protocol: SessionProtocol, deps: SessionEntranceDeps) {
		const { limits, upstream, connections } = deps;
		const way = wayOf(config);
		this.#as = recognition.as;
		/** The accepted socket below each TLS socket. */
		const below = new WeakMap<Socket, Socket>();
		/** Permits whose session was dialled: what they dial again is a cancel request. */
		const dialled = new WeakSet<SessionPermit>();
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
				address: authorityText(upstream.target.host, upstream.target.port),
				authenticate: way,
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
						if (way !== 'mtls') done({ socket: result.socket, ...agreed });
						else if ('cause' in result.identity) done({ ...result.identity, socket: result.socket });
						else done({ socket: result.socket, identity: result.identity, ...agreed });
					}),
				authenticate: (username, password) =>
					recognition.token?.(username, password) ?? { cause: 'identity_invalid', detail: 'no token is taken here' },
				makeConn: (identity, socket) => {
					const conn =
						deps.mayUse(identity) ??
						(deps.draining() ? { cause: 'draining' } : connections.identified(identity, upstream.target));
					if (!('cause' in conn)) connections.known(below.get(socket) ?? socket);
					return conn;
				},
				decide: (conn, call, sections, done) =>
					deps.calls.decide(
						{
							conn,
							target: upstream.target,
							phase: 'connect',
							call,
							sections,
							permit: 'session',
							observe: deps.observe,
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
					),
				dial: (permit, done) => {
					// A cancel request acts upstream under the permit of the session that it cancels, and leaves a record of its own.
					if (dialled.has(permit)) deps.cancelled(permit);
					else dialled.add(permit);
					return deps.dialler.dial(permit, done);
				},
				startUpstreamTls: (permit, socket, alpn, done) => deps.dialler.secure(permit, socket, alpn, done),
				refused: (refusal, conn, socket) =>
					deps.refusedConnection({
						listener: config.name,
						cause: refusal.cause,
						detail: refusal.detail ?? '',
						remote: socket.remoteAddress ?? '',
						...(conn === undefined ? {} : { claimed: conn.identity.agent.id }),
					}),
				over: conn => {
					if (conn !== undefined) connections.gone(conn);
				},
			},
			{ handshake: limits.handshake, dial: limits.dial, session: limits.session, sessionIdle: limits.session_idle },
		);
	}

	accept(socket: Socket): void {
		this.#door.accept(socket, this.#as);
	}

	renew(): void {
		for (const handshakes of this.#handshakes.values()) handshakes.renew();
	}

	get busy(): number {
		return this.#door.size;
	}

	/** Sessions that are open go on until the drain is over. */
	drain(): void {}

	close(): void {
		this.#door.end('draining');
	}
}
