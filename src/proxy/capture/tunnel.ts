import type { Socket } from 'node:net';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import { tunnelCall } from '../../protocols/http/call.ts';
import type { Call, Calls } from '../call.ts';
import type { Tunnels } from '../session/tunnel.ts';
import type { Dialler } from '../upstream/dial.ts';
import { isHiddenByTunnels, type Route, type Upstream } from '../upstream/route.ts';

export interface CapturedTunnelDeps {
	readonly calls: Calls;
	readonly dialler: Dialler;
	readonly tunnels: Tunnels;
	/** Whether the policy's verdicts on this target are only observed. */
	observes(upstream: Upstream | undefined): boolean;
}

const NOTHING = Buffer.alloc(0);

/**
 * A captured connection that is passed on as it is, once phase `connect` allows it. There are no words in which the agent
 * could be told of a refusal: its connection is reset.
 */
export function openTunnel(
	deps: CapturedTunnelDeps,
	socket: Socket,
	conn: Conn,
	{ target, upstream }: Route,
	refusal: Refused | undefined,
): void {
	const hidden =
		upstream !== undefined && isHiddenByTunnels(upstream)
			? refused(
					'tunnel_to_inspected',
					`the upstream ${upstream.name} speaks ${upstream.config.protocol}, which is inspected`,
				)
			: undefined;
	const refusedAs = refusal ?? hidden;
	deps.calls.decide(
		{
			conn,
			target,
			phase: 'connect',
			call: tunnelCall(target.host, target.port),
			sections: [],
			permit: 'session',
			observe: deps.observes(upstream),
			...(refusedAs === undefined ? {} : { refused: refusedAs }),
		},
		call => {
			if (call.permit === undefined) socket.resetAndDestroy();
			else dial(deps, socket, call);
		},
	);
}

function dial({ dialler, tunnels }: CapturedTunnelDeps, socket: Socket, call: Call): void {
	const { permit } = call;
	if (permit?.kind !== 'session') return;
	if (socket.destroyed) {
		call.end({ cause: 'agent_aborted' });
		return;
	}
	const gone = (): void => {
		abort();
		call.end({ cause: 'agent_aborted' });
	};
	const release = call.life.onEnd(() => {
		abort();
		socket.resetAndDestroy();
	});
	socket.once('close', gone);
	const abort = dialler.dial(permit, result => {
		socket.removeListener('close', gone);
		release();
		if ('cause' in result) {
			call.end({ cause: result.cause, ...(result.detail === undefined ? {} : { error: result.detail }) });
			socket.resetAndDestroy();
			return;
		}
		tunnels.open({ socket, head: NOTHING }, result.socket, permit, end =>
			call.end({
				cause: end.cause,
				sent: end.bytesSent,
				received: end.bytesReceived,
				...(end.error === undefined ? {} : { error: end.error }),
			}),
		);
	});
}
