import type { Socket } from 'node:net';
import type { ListenerConfig } from '../../config/schema.ts';
import { kindOf, settingsOf, waysOf } from '../../config/way.ts';
import type { Authentication, Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { TlsIdentity } from './handshake.ts';

/** What the ways of a listener need of the rest. */
export interface RecognitionDeps {
	readonly identity: TlsIdentity;
	/** Who shows this token on this listener; undefined where it takes none. */
	token(listener: string): ((username: string, password: string) => Identity | Refused) | undefined;
	/** Who shows this JWT-SVID, made for one of the audiences. */
	jwtSvid(audience: readonly string[]): (token: string) => Identity | Refused;
	/** The agent that the configuration names. */
	agentOf(spiffeId: string, way: 'as' | 'unix', user?: number): Identity;
	/** The user on the other end of a Unix socket when it connected; undefined when the kernel does not say. */
	userOf(socket: Socket): number | undefined;
}

/** How the agents of one listener are known. */
export interface Recognition {
	/** In the order in which they are tried; each kind once at most. */
	readonly ways: readonly Authentication[];
	readonly tls: TlsIdentity;
	readonly token: ((username: string, password: string) => Identity | Refused) | undefined;
	/** By the socket itself: `as` or `unix`, of which there is one at most. */
	readonly socket: ((socket: Socket) => Identity | Refused) | undefined;
	readonly jwtSvid: { readonly header: string; identify(token: string): Identity | Refused } | undefined;
}

/** Makes what a listener knows its agents by, once per configuration. */
export function recognitionOf(listener: ListenerConfig, deps: RecognitionDeps): Recognition {
	const jwt = settingsOf(listener, 'jwt_svid');
	return {
		ways: waysOf(listener).map(kindOf),
		tls: deps.identity,
		token: settingsOf(listener, 'token') === undefined ? undefined : deps.token(listener.name),
		socket: bySocket(listener, deps),
		jwtSvid: jwt === undefined ? undefined : { header: jwt.header, identify: deps.jwtSvid(jwt.audience) },
	};
}

function bySocket(listener: ListenerConfig, deps: RecognitionDeps): Recognition['socket'] {
	const as = settingsOf(listener, 'as');
	if (as !== undefined) {
		const only = deps.agentOf(as, 'as');
		return () => only;
	}
	const unix = settingsOf(listener, 'unix');
	if (unix === undefined) return undefined;
	const agents = new Map(
		Object.entries(unix.users).map(([user, id]) => [Number(user), deps.agentOf(id, 'unix', Number(user))]),
	);
	return socket => {
		const user = deps.userOf(socket);
		if (user === undefined) return refused('identity_missing', 'the kernel does not say who connected');
		return agents.get(user) ?? refused('identity_invalid', `no agent runs as the user ${user}`);
	};
}

/** Whether one of the listener's ways could have made this identity known. */
export const knows = (listener: ListenerConfig, { agent, authentication, user }: Identity): boolean =>
	waysOf(listener).some(way => {
		if (kindOf(way) !== authentication) return false;
		if (way === 'mtls' || 'jwt_svid' in way) return true;
		if ('as' in way) return way.as === agent.id;
		return 'unix' in way ? way.unix.users[String(user)] === agent.id : way.token.agents.includes(agent.id);
	});
