import type { SessionProtocol } from '../contract.ts';
import { TcpMachine } from './machine.ts';

/** Opaque bytes both ways. It has no port of its own. */
export const tcp: SessionProtocol<undefined> = {
	name: 'tcp',
	defaultPort: 0,
	share: () => undefined,
	open: settings => new TcpMachine(settings),
};
