import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** An HTTP server that keeps nothing of what it gets: for bodies too great to remember. */
export interface Bulk {
	readonly address: string;
	readonly port: number;
	/** Bytes of bodies received. */
	received(): number;
	/** Bytes of bodies that were handed to the kernel. */
	sent(): number;
	/** Stops reading bodies, or goes on. */
	pause(): void;
	resume(): void;
}

const BLOCK = Buffer.alloc(64 * 1024, 'sallyport ');

/** `GET /BYTES` gives so many bytes, in chunks where the query is `chunked`; any other method counts its body. */
export async function startBulk(t: Pick<TestContext, 'after'>): Promise<Bulk> {
	let received = 0;
	let sent = 0;
	let paused = false;
	const bodies = new Set<IncomingMessage>();
	const sockets = new Set<Socket>();
	const give = (url: string, response: ServerResponse): void => {
		const [path = '', query] = url.split('?');
		let left = Number(path.slice(1));
		response.writeHead(200, query === 'chunked' ? {} : { 'content-length': left });
		const more = (): void => {
			while (left > 0) {
				const block = left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left);
				left -= block.length;
				if (
					!response.write(block, () => {
						sent += block.length;
					})
				) {
					response.once('drain', more);
					return;
				}
			}
			response.end();
		};
		more();
	};
	const server = createServer({ requestTimeout: 0 }, (request, response) => {
		response.on('error', () => {});
		if (request.method === 'GET') {
			give(request.url ?? '/0', response);
			return;
		}
		bodies.add(request);
		let here = 0;
		request.on('data', (chunk: Buffer) => {
			here += chunk.length;
			received += chunk.length;
		});
		request.on('error', () => {}).on('close', () => bodies.delete(request));
		request.on('end', () => response.end(`${here} bytes`));
		if (paused) request.pause();
	});
	server.on('connection', socket => {
		sockets.add(socket);
		socket.on('close', () => sockets.delete(socket));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return {
		address: `127.0.0.1:${port}`,
		port,
		received: () => received,
		sent: () => sent,
		pause() {
			paused = true;
			for (const body of bodies) body.pause();
		},
		resume() {
			paused = false;
			for (const body of bodies) body.resume();
		},
	};
}

/** Waits until a number has stopped growing for a while: what can move has moved. */
export async function settled(read: () => number): Promise<number> {
	let last = -1;
	let same = 0;
	while (same < 25) {
		const now = read();
		same = now === last ? same + 1 : 0;
		last = now;
		await new Promise(resolve => setTimeout(resolve, 20));
	}
	return last;
}
