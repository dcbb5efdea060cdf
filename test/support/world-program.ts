import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp, type Socket } from 'node:net';

/**
 * The servers at the other end of a pod's wire, on all addresses: HTTP on 80 and 8000, HTTPS on 443, one that greets
 * first on 2525, one that echoes on 9000, something that answers like DNS on 53, and UDP on 53, 443 and 9000. Says on
 * stdout what arrives, a line of JSON each. Arguments: certificate, key, and the addresses that UDP is answered from.
 */

const say = (line: object): void => {
	process.stdout.write(`${JSON.stringify(line)}\n`);
};

const [certificate = '', key = '', ...addresses] = process.argv.slice(2);

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

const arrived = (port: number, socket: Socket): void => {
	socket.on('error', () => {});
	say({ on: `tcp:${port}`, to: plain(socket.localAddress), from: plain(socket.remoteAddress) });
};

const answer: RequestListener = (request, response) => {
	say({ request: `${request.method} ${request.headers.host} ${request.url}` });
	const text = JSON.stringify({ host: request.headers.host, url: request.url, at: plain(request.socket.localAddress) });
	response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
	response.end(text);
};

const servers = [
	...[80, 8000].map(port => ({ port, server: createHttp(answer) })),
	{ port: 443, server: createHttps({ cert: readFileSync(certificate), key: readFileSync(key) }, answer) },
	{
		port: 2525,
		server: createTcp(socket => {
			socket.write('220 hello\r\n');
			socket.pipe(socket);
		}),
	},
	{ port: 9000, server: createTcp(socket => socket.pipe(socket)) },
	{ port: 53, server: createTcp(socket => socket.pipe(socket)) },
];

const DATAGRAM_PORTS = [53, 443, 9000];
let waiting = servers.length + DATAGRAM_PORTS.length * addresses.length;
const up = (): void => {
	if (--waiting === 0) say({ up: true });
};
for (const { port, server } of servers) {
	server.on('connection', (socket: Socket) => arrived(port, socket));
	server.listen({ host: '::', port }, up);
}
for (const port of DATAGRAM_PORTS)
	for (const own of addresses) {
		// One each, or an answer could have another address than the question had.
		const socket = createSocket({ type: own.includes(':') ? 'udp6' : 'udp4' });
		socket.on('message', (message, { address, port: back }) => {
			say({ on: `udp:${port}`, to: own, from: address });
			socket.send(message, back, address);
		});
		socket.bind(port, own, up);
	}
