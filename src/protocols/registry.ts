import type { SessionProtocol } from './contract.ts';
import { postgres } from './postgres/protocol.ts';
import { tcp } from './tcp/protocol.ts';

/** Every session protocol. Contract tests loop over this list. */
export const SESSION_PROTOCOLS: readonly SessionProtocol[] = [tcp, postgres];

export const sessionProtocol = (name: string): SessionProtocol | undefined =>
	SESSION_PROTOCOLS.find(protocol => protocol.name === name);
