import { isLoopback } from '../formats/host-port.ts';
import type { Config } from './schema.ts';

/** Says what is taken but may not be meant. */
export function warn({ upstreams }: Config, say: (path: readonly (string | number)[], message: string) => void): void {
	for (const [name, { protocol, tls, credentials, address }] of Object.entries(upstreams)) {
		if (protocol === 'http' && credentials !== undefined && tls === undefined && !isLoopback(address.host))
			say(['upstreams', name, 'credentials'], 'travel in the clear: the upstream has no `tls`');
	}
}
