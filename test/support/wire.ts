import { readFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { until } from './until.ts';
import type { Pair } from './workspace.ts';

/** Raw bytes, for what no well-behaved client sends. */

export interface WireOptions {
	/** The client certificate; with it, or with `tls`, the connection is TLS. */
	readonly agent?: Pair;
	readonly tls?: ConnectionOptions;
}

/** A connection that keeps everything it receives. */
export interface Wire {
	readonly socket: Socket;
	/** Everything received, as Latin-1 so that no byte is lost. */
	text(): string;
	send(data: string | Uint8Array): void;
	/** Waits until what was received holds the text, or fits the expression. */
	receives(expected: string | RegExp): Promise<string>;
	/** Resolves when the other side has closed, with everything received. */
	closed(): Promise<string>;
}

/** Connects to `HOST:PORT` or `unix:PATH`. TLS does not check the server unless `tls` says so: the sender is the one on trial. */
export async function openWire(
	t: Pick<TestContext, 'after'>,
	address: string,
	options: WireOptions = {},
): Promise<Wire> {
	const colon = address.lastIndexOf(':');
	const place = address.startsWith('unix:')
		? { path: address.slice(5) }
		: { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
	const { agent, tls } = options;
	const shown = agent === undefined ? {} : { cert: readFileSync(agent.certificate), key: readFileSync(agent.key) };
	const secure = agent !== undefined || tls !== undefined;
	const socket = secure ? connectTls({ ...place, rejectUnauthorized: false, ...shown, ...tls }) : connectTcp(place);
	let received = '';
	let over = false;
	let failure: string | undefined;
	socket.setEncoding('latin1').on('data', (text: string) => {
		received += text;
	});
	socket.on('error', error => {
		failure = error.message;
	});
	socket.on('close', () => {
		over = true;
	});
	t.after(() => socket.destroy());
	await new Promise<void>((resolve, reject) => {
		socket.once(secure ? 'secureConnect' : 'connect', () => resolve());
		socket.once('close', () =>
			reject(new Error(`${address} closed before the connection was open: ${failure ?? 'no reason'}`)),
		);
	});
	return {
		socket,
		text: () => received,
		send: data => void socket.write(data),
		async receives(expected) {
			const there = (): boolean =>
				typeof expected === 'string' ? received.includes(expected) : expected.test(received);
			await until(() => there() || over, `the other side says ${expected}; so far it said: ${received.slice(-2000)}`);
			if (!there())
				throw new Error(
					`the other side closed (${failure ?? 'cleanly'}) without saying ${expected}: ${received.slice(-2000)}`,
				);
			return received;
		},
		async closed() {
			await until(() => over, `the other side closes; so far it said: ${received.slice(-2000)}`);
			return received;
		},
	};
}

/** Sends bytes, and returns what came back until the other side closed. */
export async function exchangeRaw(
	t: Pick<TestContext, 'after'>,
	address: string,
	data: string | Uint8Array,
	options: WireOptions = {},
): Promise<string> {
	const wire = await openWire(t, address, options);
	wire.send(data);
	return wire.closed();
}

/** A server that does with each connection what the test says. */
export interface RawServer {
	/** `127.0.0.1:PORT`. */
	readonly address: string;
	readonly port: number;
	/** How many connections it has accepted. */
	connections(): number;
}

export async function listenRaw(t: Pick<TestContext, 'after'>, onSocket: (socket: Socket) => void): Promise<RawServer> {
	let count = 0;
	const sockets = new Set<Socket>();
	const server = createServer({ allowHalfOpen: true }, socket => {
		count++;
		sockets.add(socket);
		socket.on('error', () => {}).on('close', () => sockets.delete(socket));
		onSocket(socket);
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return { address: `127.0.0.1:${port}`, port, connections: () => count };
}
