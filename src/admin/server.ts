import type { Server as HttpServer, RequestListener } from 'node:http';
import type { Server, Socket } from 'node:net';
import { listen as bind } from '../config/listen.ts';
import type { ListenAddress } from '../config/values.ts';

/** Mode of the Unix sockets of this row. */
const SOCKET_MODE = 0o660;
/** Few peers: Node's own default. */
const BACKLOG = 511;

/** Times are milliseconds, sizes bytes. Small: these servers take requests without a body from few peers. */
const HEAD_BYTES = 8 * 1024;
const HEAD_TIME = 5_000;
const REQUEST_TIME = 10_000;
const KEEP_ALIVE = 5_000;
/** How long a socket may take to end after it was told to. */
const LINGER = 1_000;

/** node:http with limits on heads and time, which answers what it cannot read and goes on. It listens nowhere itself. */
export function createHttp(onRequest: RequestListener): HttpServer {
	// An import would evaluate everything that node:http exports, WebSocket and fetch among it: 13 MB.
	const { createServer } = process.getBuiltinModule('node:http');
	const http = createServer(
		{
			maxHeaderSize: HEAD_BYTES,
			headersTimeout: HEAD_TIME,
			requestTimeout: REQUEST_TIME,
			keepAliveTimeout: KEEP_ALIVE,
			connectionsCheckingInterval: 1_000,
		},
		(request, response) => {
			request.on('error', () => {});
			response.on('error', () => {});
			try {
				onRequest(request, response);
			} catch {
				response.destroy();
			}
		},
	);
	http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
		if (error.code === 'ECONNRESET' || !socket.writable) {
			socket.destroy();
			return;
		}
		const status =
			error.code === 'HPE_HEADER_OVERFLOW'
				? '431 Request Header Fields Too Large'
				: error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
					? '408 Request Timeout'
					: '400 Bad Request';
		socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
		endSoon(socket);
	});
	return http;
}

/** Destroys a socket that does not end by itself. */
export function endSoon(socket: { destroy(): unknown; once(event: 'close', run: () => void): unknown }): void {
	const timer = setTimeout(() => socket.destroy(), LINGER);
	socket.once('close', () => clearTimeout(timer));
}

/** Binds. Rejects with what stands in the way. */
export const listen = (server: Server, address: ListenAddress): Promise<void> =>
	bind(server, address, { mode: SOCKET_MODE, backlog: BACKLOG });

/** Sockets that are open, at most so many. The oldest goes when one more comes, so that no idle crowd keeps others out. */
export class Crowd {
	readonly #most: number;
	readonly #sockets = new Set<Socket>();

	constructor(most: number) {
		this.#most = most;
	}

	add(socket: Socket): void {
		const [oldest] = this.#sockets;
		if (oldest !== undefined && this.#sockets.size >= this.#most) {
			this.#sockets.delete(oldest);
			oldest.destroy();
		}
		this.#sockets.add(socket);
		socket.once('close', () => this.#sockets.delete(socket));
	}

	/** No longer counts the connection of this peer: what wraps it counts elsewhere. node:tls names no raw socket. */
	release(address: string | undefined, port: number | undefined): void {
		if (port === undefined) return;
		for (const socket of this.#sockets)
			if (socket.remotePort === port && socket.remoteAddress === address) this.#sockets.delete(socket);
	}

	destroy(): void {
		for (const socket of this.#sockets) socket.destroy();
	}
}
