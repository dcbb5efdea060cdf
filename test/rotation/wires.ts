import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { openWire, type Wire } from '../support/wire.ts';

/** Serial of the certificate that a new handshake is shown, upper-case hex. */
export async function serialAt(address: string, tls: ConnectionOptions): Promise<string | undefined> {
	const [host = '', port = ''] = address.split(':');
	const socket = connect({ host, port: Number(port), servername: 'localhost', ...tls });
	try {
		await once(socket, 'secureConnect');
		return socket.getPeerX509Certificate()?.serialNumber;
	} catch {
		// A bundle that does not hold the CA of what is still shown.
		return undefined;
	} finally {
		socket.destroy();
	}
}

/** One tunnel to an echo, for as long as the test runs. */
export class Tunnel {
	readonly #wire: Wire;
	#rounds = 0;

	private constructor(wire: Wire) {
		this.#wire = wire;
	}

	static async open(
		t: Pick<TestContext, 'after'>,
		address: string,
		target: string,
		tls: ConnectionOptions,
	): Promise<Tunnel> {
		const wire = await openWire(t, address, { tls: { servername: 'localhost', rejectUnauthorized: true, ...tls } });
		wire.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
		await wire.receives('200 Connection Established');
		return new Tunnel(wire);
	}

	async round(): Promise<void> {
		const said = `round ${++this.#rounds}.`;
		this.#wire.send(said);
		await this.#wire.receives(said);
	}
}
