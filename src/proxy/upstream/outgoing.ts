import type { Socket } from 'node:net';

/** One end of a connection, or the place of a server. */
export interface Place {
	readonly address: string | undefined;
	readonly port: number | undefined;
}

const keyOf = (from: Place, to: Place): string => `${from.address} ${from.port} ${to.address} ${to.port}`;

/** The connections that Sallyport itself has opened, by both ends: what comes back to it is known by them. */
export class Outgoing {
	readonly #open = new Set<string>();

	add(socket: Socket): void {
		const { localAddress, localPort, remoteAddress, remotePort } = socket;
		const key = keyOf({ address: localAddress, port: localPort }, { address: remoteAddress, port: remotePort });
		this.#open.add(key);
		socket.once('close', () => this.#open.delete(key));
	}

	has(from: Place, to: Place): boolean {
		return this.#open.has(keyOf(from, to));
	}
}
