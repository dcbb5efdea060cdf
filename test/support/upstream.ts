import { readFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer as createTls, type TlsOptions } from 'node:tls';
import { until } from './until.ts';
import type { Pair } from './workspace.ts';

/** A request as the upstream got it. */
export interface Seen {
	readonly method: string;
	readonly url: string;
	/** Names and values in turn, as they came. */
	readonly rawHeaders: readonly string[];
	/** One header, by its lower-case name. */
	header(name: string): string | undefined;
	/** What has come of the body so far; whole once `ended`. */
	body(): Buffer;
	ended(): boolean;
}

export interface UpstreamOptions {
	/** Makes it an HTTPS server. */
	readonly certificate?: Pair;
	readonly tls?: TlsOptions;
	/** What it answers; by default 200 with `{method, url, body}` as JSON. */
	readonly answer?: (request: IncomingMessage, response: ServerResponse) => void;
}

/** A real HTTP server on loopback that remembers everything. */
export interface Upstream {
	/** `127.0.0.1:PORT`. */
	readonly address: string;
	readonly port: number;
	readonly seen: readonly Seen[];
	/** Connections accepted so far: none may be opened before a verdict allows it. */
	connections(): number;
	open(): number;
	/** The bytes received on all connections, decrypted, one after the other. */
	raw(): Buffer;
	/** Waits for the nth request, from 1. */
	request(n: number): Promise<Seen>;
	/** Breaks every open connection off. */
	reset(): void;
}

export async function startUpstream(t: Pick<TestContext, 'after'>, options: UpstreamOptions = {}): Promise<Upstream> {
	const seen: Seen[] = [];
	const sockets = new Set<Socket>();
	const chunks: Buffer[] = [];
	let connections = 0;
	const answer = options.answer ?? echo;
	const onRequest: RequestListener = (request, response) => {
		seen.push(watch(request));
		response.on('error', () => {});
		answer(request, response);
	};
	const http = createHttp({ keepAliveTimeout: 60_000, requestTimeout: 0 }, onRequest);
	http.on('checkContinue', (request, response) => {
		response.writeContinue();
		onRequest(request, response);
	});
	const accept = (socket: Socket): void => {
		socket.on('error', () => {}).on('close', () => sockets.delete(socket));
		sockets.add(socket);
		http.emit('connection', socket);
		// After the parser took the socket: a listener now makes Node read it in a way that both can see.
		socket.on('data', (chunk: Buffer) => chunks.push(chunk));
	};
	const { certificate } = options;
	const server =
		certificate === undefined
			? createServer(accept)
			: createTls(
					{ cert: readFileSync(certificate.certificate), key: readFileSync(certificate.key), ...options.tls },
					accept,
				);
	server.on('connection', () => {
		connections++;
	});
	server.on('tlsClientError', () => {});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const reset = (): void => {
		for (const socket of sockets) socket.destroy();
	};
	t.after(() => {
		reset();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return {
		address: `127.0.0.1:${port}`,
		port,
		seen,
		connections: () => connections,
		open: () => sockets.size,
		raw: () => Buffer.concat(chunks),
		request: n => until(() => seen[n - 1], `the upstream gets request ${n}; it has ${seen.length}`),
		reset,
	};
}

function watch(request: IncomingMessage): Seen {
	const body: Buffer[] = [];
	request.on('data', (chunk: Buffer) => body.push(chunk));
	request.on('error', () => {});
	return {
		method: request.method ?? '',
		url: request.url ?? '',
		rawHeaders: request.rawHeaders,
		header(name) {
			const value = request.headers[name];
			return Array.isArray(value) ? value.join(', ') : value;
		},
		body: () => Buffer.concat(body),
		ended: () => request.complete,
	};
}

function echo(request: IncomingMessage, response: ServerResponse): void {
	const body: Buffer[] = [];
	request.on('data', (chunk: Buffer) => body.push(chunk));
	request.on('end', () => {
		const text = JSON.stringify({
			method: request.method,
			url: request.url,
			body: Buffer.concat(body).toString('utf8'),
		});
		response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
		response.end(text);
	});
}
