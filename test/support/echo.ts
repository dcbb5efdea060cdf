import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A TCP server that sends back what it gets. */
export interface Echo {
	/** `127.0.0.1:PORT`. */
	readonly address: string;
	readonly port: number;
	/** Connections accepted so far. */
	connections(): number;
}

export async function startEcho(t: Pick<TestContext, 'after'>): Promise<Echo> {
	const sockets = new Set<Socket>();
	let connections = 0;
	const server = createServer(socket => {
		connections++;
		sockets.add(socket);
		socket.on('error', () => {}).on('close', () => sockets.delete(socket));
		socket.pipe(socket);
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return { address: `127.0.0.1:${port}`, port, connections: () => connections };
}
