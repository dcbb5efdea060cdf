import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { Client, type Dispatcher } from 'undici';

/**
 * The least that a proxy on node:https and undici can do: mutual TLS in, bodies taken whole, flat header arrays, one
 * undici Client per connection to the upstream, plain HTTP/1.1 out. It decides nothing, records nothing, has no limits
 * and must not be used for anything but measuring.
 *
 * Arguments: PORT UPSTREAM_PORT CA CERTIFICATE KEY
 */
const [port, upstreamPort, ca = '', certificate = '', key = ''] = process.argv.slice(2);
const origin = `http://127.0.0.1:${upstreamPort}`;
const authority = `127.0.0.1:${upstreamPort}`;
const idle: Client[] = [];

const server = createServer({
	ca: readFileSync(ca),
	cert: readFileSync(certificate),
	key: readFileSync(key),
	requestCert: true,
	rejectUnauthorized: true,
});

server.on('request', (request: IncomingMessage, response: ServerResponse) => {
	const chunks: Buffer[] = [];
	request.on('data', (chunk: Buffer) => chunks.push(chunk));
	request.on('end', () => {
		const client =
			idle.pop() ?? new Client(origin, { allowH2: false, pipelining: 1, bodyTimeout: 0, headersTimeout: 0 });
		const body = chunks.length === 1 ? (chunks[0] ?? null) : chunks.length === 0 ? null : Buffer.concat(chunks);
		client.dispatch(
			{
				method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
				path: request.url ?? '/',
				headers: outgoing(request.rawHeaders),
				body,
			},
			answer(response, () => idle.push(client)),
		);
	});
});

server.listen(Number(port), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));

function outgoing(raw: readonly string[]): string[] {
	const headers = ['host', authority];
	for (let index = 0; index + 1 < raw.length; index += 2) {
		const name = raw[index] ?? '';
		if (!hopByHop(name.toLowerCase())) headers.push(name, raw[index + 1] ?? '');
	}
	return headers;
}

function hopByHop(name: string): boolean {
	return name === 'host' || name === 'connection' || name === 'keep-alive' || name === 'transfer-encoding';
}

function answer(response: ServerResponse, done: () => void): Dispatcher.DispatchHandler {
	const chunks: Buffer[] = [];
	let status = 502;
	const head: string[] = [];
	return {
		onRequestStart() {},
		onResponseStart(controller, code) {
			status = code;
			const raw = controller.rawHeaders;
			if (!Array.isArray(raw)) return;
			for (let index = 0; index + 1 < raw.length; index += 2) {
				const name = String(raw[index]);
				if (!hopByHop(name.toLowerCase())) head.push(name, String(raw[index + 1]));
			}
		},
		onResponseData(_controller, chunk) {
			chunks.push(chunk);
		},
		onResponseEnd() {
			response.writeHead(status, head);
			response.end(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
			queueMicrotask(done);
		},
		onResponseError() {
			if (!response.headersSent) response.writeHead(502, ['content-length', '0']);
			response.end();
		},
	};
}
