import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The tool of the demo: a small HTTP service that counts whoever reaches it. */
export interface Crm {
	readonly port: number;
	/** Requests that arrived so far. */
	requests(): number;
	stop(): Promise<void>;
}

const CUSTOMERS = [
	{ id: 1, name: 'Ada' },
	{ id: 2, name: 'Grace' },
];
const BODY_LIMIT = 64 * 1024;

export async function startCrm(): Promise<Crm> {
	let requests = 0;
	const notes: string[] = [];
	const server = createServer((request, response) => {
		requests++;
		void read(request).then(body => answer(request, body, notes, response));
	});
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen(0, '127.0.0.1', resolve);
	});
	return {
		port: (server.address() as AddressInfo).port,
		requests: () => requests,
		stop() {
			server.closeAllConnections();
			return new Promise(resolve => server.close(() => resolve()));
		},
	};
}

async function read(request: IncomingMessage): Promise<string> {
	let text = '';
	try {
		for await (const chunk of request) if (text.length < BODY_LIMIT) text += String(chunk);
	} catch {
		// Whoever sent it went away.
	}
	return text;
}

function answer({ method, url }: IncomingMessage, body: string, notes: string[], response: ServerResponse): void {
	const say = (status: number, value: unknown): void => {
		response.writeHead(status, { 'content-type': 'application/json' });
		response.end(`${JSON.stringify(value)}\n`);
	};
	if (url === '/customers') say(200, CUSTOMERS);
	else if (url === '/notes' && method === 'POST') {
		notes.push(body);
		if (notes.length > 100) notes.shift();
		say(201, { note: notes.length });
	} else say(404, { error: 'there is no such thing' });
}
