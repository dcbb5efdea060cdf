import { chmodSync } from 'node:fs';
import type { Server } from 'node:net';
import { hostPortText } from '../formats/host-port.ts';
import { clearSocketPath } from './socket-path.ts';
import type { ListenAddress } from './values.ts';

/** Where a server listens: what was bound, so port 0 is a real port here. */
export type Bound = { readonly address: string; readonly port: number } | { readonly path: string };

export interface ListenOptions {
	/** Mode of a Unix socket. */
	readonly mode: number;
	/** Connections that may wait to be accepted. */
	readonly backlog: number;
}

/** Binds. Rejects with what stands in the way. Later errors of the server are swallowed: they concern one connection. */
export async function listen(server: Server, address: ListenAddress, { mode, backlog }: ListenOptions): Promise<void> {
	if (address.kind === 'unix') await clearSocketPath(address.path);
	await new Promise<void>((resolve, reject) => {
		const ready = (): void => {
			server.removeListener('error', failed);
			if (server.listenerCount('error') === 0) server.on('error', () => {});
			resolve();
		};
		const failed = (error: Error): void => {
			server.removeListener('listening', ready);
			reject(error);
		};
		server.once('error', failed);
		server.once('listening', ready);
		if (address.kind === 'unix') listenPrivately(server, address.path, backlog);
		else server.listen({ host: address.host, port: address.port, backlog });
	});
	if (address.kind !== 'unix') return;
	try {
		chmodSync(address.path, mode);
	} catch (error) {
		server.close();
		throw error;
	}
}

/**
 * No other user may connect between bind(2), which applies the umask, and the mode that is meant. Node binds before
 * `listen` returns; what its other threads may create meanwhile stays usable.
 */
function listenPrivately(server: Server, path: string, backlog: number): void {
	const before = process.umask(0o077);
	try {
		server.listen({ path, backlog });
	} finally {
		process.umask(before);
	}
}

export function boundOf(server: Server): Bound | undefined {
	const bound = server.address();
	if (bound === null) return undefined;
	return typeof bound === 'string' ? { path: bound } : { address: bound.address, port: bound.port };
}

/** `127.0.0.1:17400`, `[::1]:17400`, `unix:/run/…`. */
export const boundText = (bound: Bound): string =>
	'path' in bound ? `unix:${bound.path}` : hostPortText(bound.address, bound.port);
