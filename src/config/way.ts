import type { Authentication } from '../model/agent.ts';
import type { Authenticate, WayConfig } from './ways.ts';

/** Reads `authenticate` of a listener, without what checks it: that is loaded only to read a configuration. */

/** What is asked of a listener here. */
interface Known {
	readonly authenticate: Authenticate;
}

/** What a way is called: as `agent.authentication` has it. */
export const kindOf = (one: WayConfig): Authentication =>
	one === 'mtls' ? 'mtls' : 'token' in one ? 'token' : 'as' in one ? 'as' : 'unix' in one ? 'unix' : 'jwt_svid';

/** The ways of a listener, in the order in which they are tried. */
export const waysOf = ({ authenticate }: Known): readonly WayConfig[] =>
	isList(authenticate) ? authenticate : [authenticate];

const isList = (authenticate: Authenticate): authenticate is Extract<Authenticate, readonly unknown[]> =>
	Array.isArray(authenticate);

/** Whether TLS is required: a certificate can be shown nowhere else. */
export const takesTls = (listener: Known): boolean => waysOf(listener).includes('mtls');

/** The settings of one kind, which a listener has once at most. */
export function settingsOf<Kind extends Exclude<Authentication, 'mtls'>>(
	listener: Known,
	kind: Kind,
): Extract<WayConfig, Readonly<Record<Kind, unknown>>>[Kind] | undefined {
	for (const one of waysOf(listener)) {
		if (typeof one === 'object' && kind in one)
			return (one as Extract<WayConfig, Readonly<Record<Kind, unknown>>>)[kind];
	}
	return undefined;
}
