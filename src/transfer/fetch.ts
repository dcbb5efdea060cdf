import type { Dispatcher } from 'undici';
import { connectorOf } from './connector.ts';

/** What could not be had, in words without anything secret. */
export interface Broken {
	readonly broken: string;
}

/** Greatest document, where nothing else is said. */
const MAX_BYTES = 1024 * 1024;
/** For everything together, milliseconds. */
const PATIENCE = 10_000;

export interface DownloadOptions {
	/** PEM CAs that the server's certificate is judged by; the system's roots when absent. */
	readonly roots?: string;
	/** PEM of what is shown as the client certificate. */
	readonly client?: { readonly cert: string; readonly key: string };
}

export interface FetchOptions extends DownloadOptions {
	/** What is held already, as the server tagged it (RFC 9110 §13.1.2). */
	readonly etag?: string;
	/** For how long the server may hold back an answer that says nothing new, milliseconds (RFC 7240 §4.3). */
	readonly wait?: number;
	readonly accept: string;
	/** What else is preferred beside `wait` (RFC 7240), such as `modes=snapshot`. */
	readonly prefer?: string;
	/** `Authorization: Bearer`. */
	readonly bearer?: string;
	/** JSON that is sent by POST; a GET when absent. */
	readonly json?: string;
	/** For everything together but `wait`, milliseconds; 10 s when absent. */
	readonly patience?: number;
	/** Greatest body. */
	readonly maxBytes: number;
	/** Gives it up. */
	readonly signal?: AbortSignal;
}

/** What a server answered. */
export type Fetched =
	| { readonly body: Buffer; readonly etag?: string; readonly type?: string }
	/** What is held is what the server has. */
	| 'unchanged'
	| Broken;

/**
 * One GET over HTTPS with a connection of its own: the certificate must be one of the Web PKI for the host
 * (SPIFFE_Federation.md §5.2.1.4), the answer 200 and not longer than 1 MiB. Redirects are not followed: where the
 * trust of a whole domain comes from is said in the configuration and nowhere else. Never rejects.
 */
export async function download(url: URL, { roots }: DownloadOptions): Promise<Buffer | Broken> {
	const accept = 'application/json';
	const fetched = await fetchOnce(url, { accept, maxBytes: MAX_BYTES, ...(roots === undefined ? {} : { roots }) });
	if (fetched === 'unchanged') return { broken: 'the server answers 304' };
	return 'broken' in fetched ? fetched : fetched.body;
}

/** The same for what is asked for again and again, or sent. Never rejects. */
export async function fetchOnce(url: URL, options: FetchOptions): Promise<Fetched> {
	const { etag, wait = 0, accept, prefer, bearer, json, maxBytes, signal } = options;
	const patience = (options.patience ?? PATIENCE) + wait;
	// Most sidecars fetch nothing.
	const { default: UndiciClient } = await import('undici/lib/dispatcher/client.js');
	const client = new UndiciClient(url.origin, {
		allowH2: false,
		maxHeaderSize: 16 * 1024,
		headersTimeout: patience,
		bodyTimeout: patience,
		connect: connectorOf({ tls: true, ca: options.roots, client: options.client, patience: PATIENCE }),
	});
	return new Promise<Fetched>(resolve => {
		const answer = new Answer(resolve, maxBytes, json !== undefined);
		const late = (): void => answer.end({ broken: `there was no answer within ${patience / 1000} s` });
		const timer = setTimeout(late, patience);
		const given = (): void => answer.end({ broken: 'it was given up' });
		answer.over = () => {
			clearTimeout(timer);
			signal?.removeEventListener('abort', given);
			void client.destroy().catch(() => {});
		};
		if (signal?.aborted === true) {
			given();
			return;
		}
		signal?.addEventListener('abort', given, { once: true });
		const path = `${url.pathname}${url.search}`;
		const preferred = [
			...(prefer === undefined ? [] : [prefer]),
			...(wait === 0 ? [] : [`wait=${Math.floor(wait / 1000)}`]),
		];
		const headers = {
			accept,
			...(etag === undefined ? {} : { 'if-none-match': etag }),
			...(preferred.length === 0 ? {} : { prefer: preferred.join(';') }),
			...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
			...(json === undefined ? {} : { 'content-type': 'application/json' }),
		};
		const sent = json === undefined ? ({ method: 'GET' } as const) : ({ method: 'POST', body: json } as const);
		client.dispatch({ ...sent, path, headers, blocking: false }, answer);
	});
}

class Answer implements Dispatcher.DispatchHandler {
	readonly #resolve: (result: Fetched) => void;
	readonly #maxBytes: number;
	readonly #posted: boolean;
	#etag: string | undefined;
	#type: string | undefined;
	readonly #chunks: Buffer[] = [];
	#bytes = 0;
	#ended = false;
	/** Runs once, after the end. */
	over: () => void = () => {};

	constructor(resolve: (result: Fetched) => void, maxBytes: number, posted: boolean) {
		this.#resolve = resolve;
		this.#maxBytes = maxBytes;
		this.#posted = posted;
	}

	end(result: Fetched): void {
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
		const { etag, 'content-type': type } = headers;
		if (typeof type === 'string') this.#type = type.toLowerCase().split(';')[0]?.trim();
		if (typeof etag === 'string' && /^(W\/)?"[\x21\x23-\x7e]{0,255}"$/.test(etag)) this.#etag = etag;
		if (status === 304) this.end('unchanged');
		else if (status >= 300 && status < 400)
			this.end({ broken: `the server redirects (${status}), which is not followed: name the other URL` });
		else if (status > 299 || (status !== 200 && !this.#posted)) this.end({ broken: `the server answers ${status}` });
		else if ((headers['content-encoding'] ?? 'identity') !== 'identity')
			this.end({ broken: 'the answer is encoded, which was not asked for' });
	}

	onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.#ended) return;
		this.#bytes += chunk.length;
		if (this.#bytes > this.#maxBytes)
			this.end({ broken: `the answer is larger than ${this.#maxBytes / 1024 ** 2} MiB` });
		else this.#chunks.push(chunk);
	}

	onResponseEnd(): void {
		this.end({
			body: Buffer.concat(this.#chunks),
			...(this.#etag === undefined ? {} : { etag: this.#etag }),
			...(this.#type === undefined ? {} : { type: this.#type }),
		});
	}

	onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
		const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
		// OpenSSL's and the system's words, without what a server could write into them.
		this.end({ broken: `it could not be fetched${/^[A-Z0-9_]{3,60}$/.test(code) ? ` (${code})` : ''}` });
	}
}
