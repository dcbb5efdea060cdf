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
export const wayOf = (config: ListenerConfig): SessionSettings['authenticate'] =>
	config.authenticate === 'mtls' ? 'mtls' : 'token' in config.authenticate ? 'token' : 'as';
