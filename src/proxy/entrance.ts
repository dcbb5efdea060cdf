import type { Socket } from 'node:net';
import type { ListenerConfig } from '../config/schema.ts';
import type { Identity } from '../model/agent.ts';
import { refused } from '../model/cause.ts';
import type { Clock, Recorder } from '../model/ports.ts';
import { httpSections } from '../protocols/http/section.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Calls } from './call.ts';
import { CapturedEntrance } from './capture/entrance.ts';
import type { Original } from './http/callers.ts';
import { HttpEntrance } from './http/entrance.ts';
import type { Connections } from './listener/connection.ts';
import type { Entrance } from './listener/listener.ts';
import { type RecognitionDeps, recognitionOf } from './listener/recognition.ts';
import { SessionEntrance } from './session/entrance.ts';
import type { Setup } from './setup.ts';
import type { Outgoing } from './upstream/outgoing.ts';
import type { Upstream } from './upstream/route.ts';

export interface EntranceDeps extends RecognitionDeps {
	readonly calls: Calls;
	readonly clock: Clock;
	readonly recorder: Pick<Recorder, 'control' | 'refusedConnection'>;
	readonly metrics: Metrics;
	/** Where a captured connection was going; undefined when the kernel does not say. */
	originalOf(socket: Socket): Original | undefined;
	/** Whether connecting there reaches Sallyport itself. */
	isOwn(place: Original): boolean;
	readonly outgoing: Pick<Outgoing, 'has'>;
	/** The configuration in force. */
	current(): Setup;
	draining(): boolean;
}

/** The widest that a session machine may hold of one side, bytes. */
const MAX_BUFFERED = 1024 * 1024;

/** What serves a listener by one configuration: HTTP, or sessions where it is a door for a session protocol. */
export function makeEntrance(
	listener: ListenerConfig,
	setup: Setup,
	connections: Connections,
	deps: EntranceDeps,
): Entrance {
	const { calls, metrics, recorder } = deps;
	const { config, router, dialler, pool, tunnels } = setup;
	const { name } = listener;
	const recognition = recognitionOf(listener, deps);
	const common = {
		connections,
		calls,
		dialler,
		limits: config.limits,
		expiry: setup.expiry,
		// By the configuration in force: an entrance may outlive its own.
		mayUse: (who: Identity) => deps.current().mayUse(name, who),
		refusedConnection: (record: Parameters<Recorder['refusedConnection']>[0]) => recorder.refusedConnection(record),
		draining: () => deps.draining(),
		now: () => deps.clock.now(),
	};
	const { upstream, session, credential } = setup.post(name) ?? {};
	if (upstream !== undefined && session !== undefined && credential !== undefined) {
		return new SessionEntrance(listener, recognition, session.protocol, {
			...common,
			upstream,
			shared: session.shared,
			observes: () => deps.current().observes(upstream.name),
			maxBuffered: MAX_BUFFERED,
			credential,
			overtaken: conn => {
				const now = deps.current();
				if (now === setup) return undefined;
				const changed = now.leadsAsBefore(setup, conn, upstream.target) ? undefined : refused('draining');
				return now.mayUse(name, conn.identity) ?? changed;
			},
			cancelled: ({ conn, decisionId }, written) =>
				recorder.control(
					{
						action: 'cancel',
						operator: conn.identity.agent.id,
						detail: { decision_id: decisionId, listener: conn.listener },
					},
					written,
				),
		});
	}
	const http = {
		...common,
		recognition,
		pool,
		router,
		tunnels,
		section: httpSections({ headers: new Set(config.audit.mask.headers), query: new Set(config.audit.mask.query) }),
		observes: (aimed: Upstream | undefined) => setup.observes(aimed?.name),
		droppedTrailers: () => metrics.droppedTrailers.inc(),
		credentials: (aimed: string) => setup.credentials.fields(aimed),
		clientCert: (who: Identity) => setup.clientCerts.of(who),
		listener: name,
		door: listener.upstream,
		upstream,
	};
	if (listener.serves !== 'captured') return new HttpEntrance(listener, http);
	return new CapturedEntrance({
		...http,
		originalOf: socket => deps.originalOf(socket),
		isOwn: place => deps.isOwn(place),
		isOutgoing: ({ remoteAddress, remotePort }, original) =>
			deps.outgoing.has({ address: remoteAddress, port: remotePort }, original),
	});
}
