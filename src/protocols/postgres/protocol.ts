import type { SessionProtocol } from '../contract.ts';
import { CancelKeys } from './cancel.ts';
import { PostgresMachine } from './machine.ts';

/** PostgreSQL, protocol 3.0 and 3.2. */
export const postgres: SessionProtocol<CancelKeys> = {
	name: 'postgres',
	defaultPort: 5432,
	share: () => new CancelKeys(),
	open: (settings, shared) => new PostgresMachine(settings, shared),
};
