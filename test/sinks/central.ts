import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { gunzipSync } from 'node:zlib';

/** One body that came. */
export interface Upload {
	readonly method: string | undefined;
	readonly url: string | undefined;
	readonly headers: IncomingHttpHeaders;
	/** Bytes as they came, compressed. */
	readonly bytes: number;
	readonly lines: readonly string[];
	/** Subject alternative name of the client's certificate. */
	readonly client: string | undefined;
	readonly status: number;
	/** When it came, by `performance.now()`. */
	readonly at: number;
}

export interface Central {
	readonly url: string;
	readonly port: number;
	readonly uploads: readonly Upload[];
	/** Records of all bodies that were taken, as they came. */
	lines(): string[];
	/** From now on: what is answered to a body. */
	answer(to: (lines: readonly string[]) => Reply): void;
	/** Ends it, and every connection to it. */
	stop(): Promise<void>;
}

export interface Reply {
	/** Undefined: nothing is answered. */
	readonly status: number | undefined;
	readonly headers?: Readonly<Record<string, string>>;
}

export interface CentralOptions {
	readonly tls?: TlsOptions;
	readonly port?: number;
}

/** A server that takes records as OPA's `/logs` does, and remembers them. */
export async function startCentral(t: Pick<TestContext, 'after'>, options: CentralOptions = {}): Promise<Central> {
	const uploads: Upload[] = [];
	const sockets = new Set<Socket>();
	let judge: (lines: readonly string[]) => Reply = () => ({ status: 200 });
	const server: Server = options.tls === undefined ? createServer() : createHttps(options.tls);
	server.on('request', (request, response) => {
		const chunks: Buffer[] = [];
		request.on('error', () => {});
		response.on('error', () => {});
		request.on('data', (chunk: Buffer) => chunks.push(chunk));
		request.on('end', () => {
			const body = Buffer.concat(chunks);
			const lines = elementsOf(gunzipSync(body).toString('utf8'));
			const { status, headers } = judge(lines);
			const peer =
				'getPeerCertificate' in request.socket
					? (request.socket as { getPeerCertificate(): { subjectaltname?: string } }).getPeerCertificate()
					: undefined;
			uploads.push({
				method: request.method,
				url: request.url,
				headers: request.headers,
				bytes: body.length,
				lines,
				client: peer?.subjectaltname,
				status: status ?? 0,
				at: performance.now(),
			});
			if (status === undefined) return;
			response.writeHead(status, { ...headers });
			response.end();
		});
	});
	const accept = (socket: Socket): void => {
		sockets.add(socket);
		socket.on('error', () => {}).on('close', () => sockets.delete(socket));
	};
	server.on('connection', accept);
	await new Promise<void>(resolve => server.listen(options.port ?? 0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	const stop = async (): Promise<void> => {
		const closed = new Promise<void>(resolve => server.close(() => resolve()));
		for (const socket of sockets) socket.destroy();
		await closed;
	};
	t.after(() => stop());
	return {
		url: `${options.tls === undefined ? 'http://127.0.0.1' : 'https://localhost'}:${port}/logs`,
		port,
		uploads,
		lines: () => uploads.filter(({ status }) => status === 200).flatMap(({ lines }) => lines),
		answer(to) {
			judge = to;
		},
		stop,
	};
}

/** The elements of an array of records, byte for byte; checks that it is one. */
function elementsOf(text: string): string[] {
	const parsed = JSON.parse(text) as unknown[];
	const elements = text.slice(1, -1).split(/,(?=\{"type":")/);
	assert.equal(elements.length, parsed.length);
	return elements;
}
