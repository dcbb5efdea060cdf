import type { ListenerConfig } from '../../config/schema.ts';
import type { Identity } from '../../model/agent.ts';
import type { Refused } from '../../model/cause.ts';
import type { SessionSettings } from '../../protocols/contract.ts';
import type { TlsIdentity } from './handshake.ts';

/** How the agents of one listener are known. */
export interface Recognition {
	readonly tls: TlsIdentity;
	/** Only where the listener takes tokens. */
	readonly token: ((username: string, password: string) => Identity | Refused) | undefined;
	/** Only on a socket that one agent can reach. */
	readonly as: Identity | undefined;
}

/** Which of the three ways a listener uses. */
export const wayOf = ({ authenticate }: ListenerConfig): SessionSettings['authenticate'] =>
	authenticate === 'mtls' ? 'mtls' : 'token' in authenticate ? 'token' : 'as';

/** Whether the listener's way could have made this identity known. */
export function knows({ authenticate }: ListenerConfig, { agent, authentication }: Identity): boolean {
	if (authenticate === 'mtls') return authentication === 'mtls';
	if ('as' in authenticate) return authentication === 'as' && authenticate.as === agent.id;
	return authentication === 'token' && authenticate.token.agents.includes(agent.id);
}
