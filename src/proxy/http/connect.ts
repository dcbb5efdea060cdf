import type { Socket } from 'node:net';
import { type Cause, type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { Target } from '../../model/target.ts';
import type { Reason } from '../../model/verdict.ts';
import { tunnelCall } from '../../protocols/http/call.ts';
import type { Head } from '../../protocols/http/head.ts';
import type { Challenge } from '../../protocols/http/refusal.ts';
import type { Call } from '../call.ts';
import type { Tunnels } from '../session/tunnel.ts';
import type { Dialler } from '../upstream/dial.ts';
import { isHiddenByTunnels } from '../upstream/route.ts';
import type { HttpDeps } from './deps.ts';
import { refuseSocket } from './refuse.ts';
import type { AgentRequest } from './request.ts';
import { parentOf } from './trace.ts';

export interface ConnectDeps extends HttpDeps {
	readonly dialler: Dialler;
	readonly tunnels: Tunnels;
}

const NO_REASONS: readonly Reason[] = [];

/** One CONNECT: the opening of a tunnel is decided in phase `connect`; what is in it stays unknown (RFC 9110 §9.3.6). */
export class ConnectExchange {
	readonly #deps: ConnectDeps;
	readonly #socket: Socket;
	readonly #fields: readonly string[];
	/** What came behind the head. */
	readonly #early: Buffer;

	constructor(deps: ConnectDeps, { socket, fields }: AgentRequest, early: Buffer) {
		this.#deps = deps;
		this.#socket = socket;
		this.#fields = fields;
		this.#early = early;
	}

	/** `door` is where one would lead that opened any. */
	start(conn: Conn, head: Head | Refused, door?: Target): void {
		const { router, calls } = this.#deps;
		const named = !('cause' in head) && head.target.form === 'authority' ? head.target.authority : undefined;
		const route = named === undefined ? { target: door ?? router.nowhere } : router.forTunnel(named.host, named.port);
		let refusal =
			'cause' in head ? head : named === undefined ? refused('undecodable', 'CONNECT without an authority') : undefined;
		const { upstream } = route;
		if (upstream !== undefined && isHiddenByTunnels(upstream)) {
			refusal ??= refused(
				'tunnel_to_inspected',
				`the upstream ${upstream.name} speaks ${upstream.config.protocol}, which is inspected`,
			);
		}
		const { tracing } = calls;
		calls.decide(
			{
				conn,
				target: route.target,
				phase: 'connect',
				call: tunnelCall(route.target.host, route.target.port),
				sections: [],
				permit: 'session',
				observe: this.#deps.observes(upstream),
				...(tracing === undefined ? {} : { trace: tracing.begin(parentOf(this.#fields)) }),
				...(refusal === undefined ? {} : { refused: refusal }),
			},
			call => {
				if (call.permit === undefined)
					this.#refuse(
						call.decision?.cause ?? 'no_rule',
						call.decision?.reasons ?? NO_REASONS,
						call.detail,
						call.decision?.id,
						false,
					);
				else this.#dial(call);
			},
		);
	}

	/** Refused before there is a Conn. */
	refuse(refusal: Refused, challenge: Challenge): void {
		this.#refuse(refusal.cause, NO_REASONS, refusal.detail, undefined, challenge);
	}

	#dial(call: Call): void {
		const { permit } = call;
		if (permit?.kind !== 'session') return;
		const gone = (): void => {
			release();
			abort();
			call.end({ cause: 'agent_aborted' });
		};
		const release = call.life.onEnd(cause => {
			this.#socket.removeListener('close', gone);
			abort();
			call.end({ cause });
			this.#refuse(cause, NO_REASONS, undefined, permit.decisionId, false);
		});
		this.#socket.once('close', gone);
		const abort = this.#deps.dialler.dial(permit, result => {
			this.#socket.removeListener('close', gone);
			release();
			if ('cause' in result) {
				call.end({ cause: result.cause, ...(result.detail === undefined ? {} : { error: result.detail }) });
				this.#refuse(result.cause, NO_REASONS, result.detail, permit.decisionId, false);
				return;
			}
			this.#socket.write(`HTTP/1.1 200 Connection Established\r\nsallyport-decision-id: ${permit.decisionId}\r\n\r\n`);
			this.#deps.tunnels.open({ socket: this.#socket, head: this.#early }, result.socket, permit, end =>
				call.end({
					cause: end.cause,
					sent: end.bytesSent,
					received: end.bytesReceived,
					...(end.error === undefined ? {} : { error: end.error }),
				}),
			);
		});
	}

	#refuse(
		cause: Cause,
		reasons: readonly Reason[],
		detail: string | undefined,
		decisionId: string | undefined,
		challenge: Challenge,
	): void {
		const socket = this.#socket;
		if (socket.destroyed) return;
		refuseSocket(socket, { cause, reasons, detail, decisionId, challenge });
	}
}
