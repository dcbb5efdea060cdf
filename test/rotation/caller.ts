import { Agent, type IncomingMessage, request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';

/** A client of a proxy that keeps its connection for as long as the proxy lets it, and opens the next with what is in force then. */
export class Caller {
	/** Connections so far. */
	connections = 0;
	readonly #agent: Agent;
	readonly #host: string;
	readonly #port: number;
	readonly #mayEnd: () => boolean;

	/** `tls`: what it shows by mutual TLS; without, it speaks in the clear. `mayEnd`: whether connections may end now without an answer. */
	constructor(
		t: Pick<TestContext, 'after'>,
		address: string,
		tls: (() => { readonly cert: string; readonly key: string; readonly ca: string }) | undefined,
		mayEnd: () => boolean = () => false,
	) {
		const [host = '', port = ''] = address.split(':');
		this.#host = host;
		this.#port = Number(port);
		this.#mayEnd = mayEnd;
		this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
		this.#agent.createConnection = () => {
			this.connections++;
			const place = { host: this.#host, port: this.#port };
			return tls === undefined ? connectTcp(place) : connectTls({ ...place, servername: 'localhost', ...tls() });
		};
		t.after(() => this.close());
	}

	close(): void {
		this.#agent.destroy();
	}

	/** Rejects unless the answer is a whole 200. What met the end of a connection on its way is sent again while that may be (RFC 9112 §9.3.1). */
	async get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
		const { host } = new URL(url);
		const response = await new Promise<IncomingMessage>((resolve, reject) => {
			const send = (): void => {
				const sent = request({
					host: this.#host,
					port: this.#port,
					agent: this.#agent,
					path: url,
					headers: { host, ...headers },
				});
				sent.once('response', resolve).once('error', error => {
					if (this.#mayEnd()) send();
					else reject(error);
				});
				sent.end();
			};
			send();
		});
		let text = '';
		for await (const part of response.setEncoding('utf8')) text += String(part);
		if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${response.statusMessage} ${text}`);
	}
}
