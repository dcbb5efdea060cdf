import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Certificates } from './door-certificates.ts';

/** A TCP server on loopback for as long as the test runs; half-closed connections stay. */
export async function useServer(t: Pick<TestContext, 'after'>, serve: (socket: Socket) => void): Promise<number> {
	const sockets = new Set<Socket>();
	const server: Server = createServer({ allowHalfOpen: true }, socket => {
		sockets.add(socket);
		socket.on('error', () => {});
		socket.on('close', () => sockets.delete(socket));
		serve(socket);
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	const address = server.address();
	return typeof address === 'object' && address !== null ? address.port : 0;
}

/** An agent's mutual TLS to a port; half-closed connections stay. */
export async function connectAgent(
	port: number,
	certs: Certificates,
	name = 'researcher',
): Promise<TLSSocket & { readonly raw: Socket }> {
	const { certificate, key } = certs.agent(name);
	const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
	const socket = tlsConnect({ socket: raw, ca: certs.ca, cert: certificate, key, servername: 'localhost' });
	await new Promise((resolve, reject) => {
		socket.once('secureConnect', resolve);
		socket.once('error', reject);
	});
	socket.on('error', () => {});
	return Object.assign(socket, { raw });
}

/** Everything until the end of the stream. */
export function readAll(socket: Socket): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		socket.on('data', chunk => chunks.push(chunk));
		socket.on('end', () => resolve(Buffer.concat(chunks)));
		socket.on('close', () => reject(new Error('closed before the end of the stream')));
	});
}
