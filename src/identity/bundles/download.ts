import { isIP } from 'node:net';
import type { buildConnector, Dispatcher } from 'undici';
import { connectTls } from '../tls-client.ts';
import type { Broken } from '../trust.ts';

/** Greatest document. */
const MAX_BYTES = 1024 * 1024;
/** For everything together, milliseconds. */
const PATIENCE = 10_000;

export interface DownloadOptions {
	/** PEM CAs that the server's certificate is judged by; the system's roots when absent. */
	readonly roots?: string;
}

/**
 * One GET over HTTPS with a connection of its own: the certificate must be one of the Web PKI for the host
 * (SPIFFE_Federation.md §5.2.1.4), the answer 200 and not longer than 1 MiB. Redirects are not followed: where the
 * trust of a whole domain comes from is said in the configuration and nowhere else. Never rejects.
 */
export async function download(url: URL, { roots }: DownloadOptions): Promise<Buffer | Broken> {
	// Most sidecars fetch nothing.
	const { default: UndiciClient } = await import('undici/lib/dispatcher/client.js');
	const client = new UndiciClient(url.origin, {
		allowH2: false,
		maxHeaderSize: 16 * 1024,
		headersTimeout: PATIENCE,
		bodyTimeout: PATIENCE,
		connect: connectorOf(roots),
	});
	return new Promise<Buffer | Broken>(resolve => {
		const answer = new Answer(resolve);
		const timer = setTimeout(() => answer.end({ broken: `there was no answer within ${PATIENCE / 1000} s` }), PATIENCE);
		answer.over = () => {
			clearTimeout(timer);
			void client.destroy().catch(() => {});
		};
		const path = `${url.pathname}${url.search}`;
		client.dispatch({ method: 'GET', path, headers: { accept: 'application/json' }, blocking: false }, answer);
	});
}

/** On a connection that no certificate of the server's can end the process by. */
const connectorOf =
	(roots: string | undefined): buildConnector.connector =>
	({ hostname, port, servername }, done) => {
		const host = hostname.replace(/^\[|\]$/g, '');
		const socket = connectTls({
			host,
			port: Number(port || 443),
			// A name only (RFC 6066 §3); an address is checked against the certificate all the same.
			servername: isIP(host) === 0 ? (servername ?? host) : '',
			minVersion: 'TLSv1.2',
			ALPNProtocols: ['http/1.1'],
			...(roots === undefined ? {} : { ca: roots }),
		});
		const failed = (error: Error): void => done(error, null);
		socket.once('error', failed);
		// Whoever asked has gone by then.
		socket.setTimeout(PATIENCE, () => socket.destroy());
		socket.once('secureConnect', () => {
			socket.setTimeout(0);
			socket.removeListener('error', failed);
			done(null, socket);
		});
	};

class Answer implements Dispatcher.DispatchHandler {
	readonly #resolve: (result: Buffer | Broken) => void;
	readonly #chunks: Buffer[] = [];
	#bytes = 0;
	#ended = false;
	/** Runs once, after the end. */
	over: () => void = () => {};

	constructor(resolve: (result: Buffer | Broken) => void) {
		this.#resolve = resolve;
	}

	end(result: Buffer | Broken): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#resolve(result);
		this.over();
	}

	onRequestStart(): void {}

	onRequestUpgrade(): void {
		this.end({ broken: 'the server switched protocols' });
	}

	onResponseStart(
		_controller: Dispatcher.DispatchController,
		status: number,
		headers: Readonly<Record<string, string | string[] | undefined>>,
	): void {
		if (status < 200) return;
		if (status >= 300 && status < 400)
			this.end({ broken: `the server redirects (${status}), which is not followed: name the other URL` });
		else if (status !== 200) this.end({ broken: `the server answers ${status}` });
		else if ((headers['content-encoding'] ?? 'identity') !== 'identity')
			this.end({ broken: 'the answer is encoded, which was not asked for' });
	}

	onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.#ended) return;
		this.#bytes += chunk.length;
		if (this.#bytes > MAX_BYTES) this.end({ broken: 'the answer is larger than 1 MiB' });
		else this.#chunks.push(chunk);
	}

	onResponseEnd(): void {
		this.end(Buffer.concat(this.#chunks));
	}

	onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
		const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
		// OpenSSL's and the system's words, without what a server could write into them.
		this.end({ broken: `it could not be fetched${/^[A-Z0-9_]{3,60}$/.test(code) ? ` (${code})` : ''}` });
	}
}
